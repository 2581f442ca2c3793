//! What the profiles keep a child from: hidden paths, devices, system calls, networks, a root of its own.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;

use ipc::limits::Bytes;
use ipc::message::{
    Capabilities, FromWorker, Identity, Network, Root, Seccomp, Stage, UserNamespace, WaitStatus,
};
use libtest_mimic::Trial;

use crate::harness::{Engine, Order, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("everything_can_be_had_here", everything_can_be_had_here),
        trial("hidden_paths_are_empty", hidden_paths_are_empty),
        trial("devices_are_few", devices_are_few),
        trial("machine_settings_cannot_be_written", machine_settings_cannot_be_written),
        trial("dangerous_calls_are_refused", dangerous_calls_are_refused),
        trial("namespaces_can_be_allowed", namespaces_can_be_allowed),
        trial("empty_network_reaches_nothing", empty_network_reaches_nothing),
        trial("loopback_reaches_itself", loopback_reaches_itself),
        trial("bridge_is_answered_from_outside", bridge_is_answered_from_outside),
        trial("strict_root_holds_what_is_named", strict_root_holds_what_is_named),
        trial("strict_has_no_rights_at_all", strict_has_no_rights_at_all),
        trial("a_program_that_may_not_fork", a_program_that_may_not_fork),
        trial("another_user", another_user),
        trial("cwd_outside_is_refused", cwd_outside_is_refused),
    ]
}

fn text(path: &Path) -> String {
    path.to_str().expect("text").to_owned()
}

fn write(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::File::create(path).and_then(|mut file| file.write_all(content.as_bytes())).expect("a file");
}

/// Sets the launcher up anew, as for a run in which every birth is filtered.
fn set_up(engine: &mut Engine, hidden: &[&Path]) {
    let leaf = engine.tree.leaf();
    let ready = engine.set_up_hiding(Some(&leaf), Capabilities::Standard, hidden);
    assert!(ready.namespaces && ready.seccomp, "{ready:?}");
}

fn everything_can_be_had_here(engine: &mut Engine) {
    let leaf = engine.tree.leaf();
    let ready = engine.set_up(Some(&leaf));
    assert_eq!((ready.strict, ready.seccomp, ready.notes), (Some(true), true, Vec::new()));
}

fn hidden_paths_are_empty(engine: &mut Engine) {
    // Outside of every place that is private anyway.
    let root = tempfile::tempdir_in("/var/tmp").expect("a directory");
    let secret = root.path().join("home/secrets");
    write(&secret.join("key"), "secret");
    write(&root.path().join("token"), "secret");
    write(&secret.join("work/1/in"), "mine");
    let socket = root.path().join("engine.sock");
    let _listener = UnixListener::bind(&socket).expect("a socket");
    set_up(engine, &[&secret, &root.path().join("token"), &socket]);

    let line = format!(
        "cd {0}; cat home/secrets/key token; ls home/secrets; cat home/secrets/work/1/in; echo x > home/secrets/new; \
         echo out > home/secrets/work/1/out; cat home/secrets/work/1/out",
        root.path().display()
    );
    let visible = text(&secret.join("work/1"));
    let outcome = engine.run(engine.shell(&line).with(|birth| birth.sandbox.keep_visible = vec![visible]));
    assert_eq!(outcome.output(), "work\nmineout\n");
    assert!(outcome.stderr.contains("Read-only"), "{}", outcome.stderr);
    assert_eq!(fs::read_to_string(secret.join("work/1/out")).expect("it was written"), "out\n");
}

fn devices_are_few(engine: &mut Engine) {
    let line = "cd /dev; echo *; for d in null zero full random urandom; do head -c 1 $d | wc -c; done; \
                echo x > null; find . -type b | wc -l; mknod /dev/shm/d b 8 0 2>/dev/null || echo no";
    let outcome = engine.run(engine.shell(line));
    let lines: Vec<&str> = outcome.output().lines().collect();
    assert_eq!(lines[0], "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero");
    assert_eq!(lines[1..6], ["0", "1", "1", "1", "1"]);
    assert_eq!(lines[6..], ["0", "no"]);
}

fn machine_settings_cannot_be_written(engine: &mut Engine) {
    // The value that is there: harmless where it is not refused.
    let line = "for f in /proc/sys/kernel/core_pattern /sys/kernel/profiling /sys/fs/cgroup/cgroup.procs; do \
                if [ -e $f ] && (cat $f > /tmp/same && cat /tmp/same > $f) 2>/dev/null; then echo wrote $f; fi; done; \
                mkdir /sys/fs/cgroup/mine 2>/dev/null && echo made; \
                mkdir /sys/fs/cgroup/unified/mine 2>/dev/null && echo made; echo done";
    assert_eq!(engine.run(engine.shell(line)).output(), "done\n");
}

/// Programs of the host by which the calls are tried.
fn dangerous_calls_are_refused(engine: &mut Engine) {
    set_up(engine, &[]);
    let line = "unshare -U true 2>&1; unshare -m true 2>&1; mount -t tmpfs x /mnt 2>&1; chroot / true 2>&1; \
                nsenter -t 1 -u true 2>&1; grep Seccomp: /proc/self/status; (sleep 0 & wait $!) && echo forked";
    let outcome = engine.run(engine.shell(line));
    let lines: Vec<&str> = outcome.output().lines().collect();
    let refused =
        lines.iter().filter(|line| line.contains("not permitted") || line.contains("denied")).count();
    assert_eq!(refused, 5, "{lines:#?}");
    assert_eq!(lines[lines.len() - 2..], ["Seccomp:\t2", "forked"]);
}

fn namespaces_can_be_allowed(engine: &mut Engine) {
    set_up(engine, &[]);
    let order = engine.shell("unshare -U true && echo made; grep Seccomp: /proc/self/status");
    let outcome = engine.run(order.with(|birth| birth.sandbox.seccomp = Seccomp::AllowUserns));
    assert_eq!(outcome.output(), "made\nSeccomp:\t2\n");
}

fn empty_network_reaches_nothing(engine: &mut Engine) {
    let order = engine.shell(
        "cat /proc/net/dev | tail -n +3; cat /proc/net/route | tail -n +2; cat /sys/class/net/lo/operstate",
    );
    let outcome = engine.run(order.with(|birth| birth.sandbox.network = Network::None));
    let lines: Vec<&str> = outcome.output().lines().collect();
    assert!(lines[0].trim_start().starts_with("lo:"), "{lines:#?}");
    assert!(lines.iter().skip(1).all(|line| !line.contains(':')), "{lines:#?}");
}

/// The line by which bash talks to a port.
fn talk(port: u16) -> String {
    format!("exec 5<>/dev/tcp/127.0.0.1/{port} && echo hello >&5 && head -n 1 <&5")
}

fn loopback_reaches_itself(engine: &mut Engine) {
    let outside = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = outside.local_addr().expect("it has one").port();
    let order = engine.program(&["bash", "-c", &format!("({}) 2>&1 || cat /proc/net/dev_mcast", talk(port))]);
    let outcome = engine.run(order.with(|birth| birth.sandbox.network = Network::Loopback));
    assert!(outcome.output().contains("refused"), "up, and not that of the host: {}", outcome.output());
    let order = engine.program(&["bash", "-c", &format!("({}) 2>&1", talk(port))]);
    let outcome = engine.run(order.with(|birth| birth.sandbox.network = Network::None));
    assert!(outcome.stdout.contains("unreachable"), "down: {}", outcome.stdout);
}

fn bridge_is_answered_from_outside(engine: &mut Engine) {
    let order = engine.program(&["bash", "-c", &talk(3128)]);
    let mut attempt = engine.birth(order.with(|birth| birth.sandbox.network = Network::Bridge(vec![3128])));
    let (frame, mut descriptors) = attempt.next_frame_with_descriptors().expect("a frame");
    assert!(matches!(&frame, FromWorker::Listening { ports } if ports[..] == [3128]), "{frame:?}");
    let listener = std::net::TcpListener::from(descriptors.pop().expect("one"));
    let (mut connection, _) = listener.accept().expect("it connects");
    let mut said = [0; 6];
    connection.read_exact(&mut said).expect("it speaks");
    connection.write_all(b"answer\n").expect("it listens");
    assert_eq!((&said, engine.finish(attempt).output()), (b"hello\n", "answer\n"));
}

fn strict(order: Order, root: Root) -> Order {
    order.with(|birth| {
        let sandbox = &mut birth.sandbox;
        sandbox.root = Some(root);
        sandbox.network = Network::None;
        sandbox.capabilities = Capabilities::Dropped;
        if nix::unistd::geteuid().is_root() {
            sandbox.user_namespace = UserNamespace::Last;
        }
    })
}

fn bare_root() -> Root {
    Root { read: Vec::new(), write: Vec::new(), hidden: Vec::new(), empty: Vec::new() }
}

fn strict_root_holds_what_is_named(engine: &mut Engine) {
    let root = tempfile::tempdir_in("/var/tmp").expect("a directory");
    let (base, out, other) = (root.path().join("base"), root.path().join("out"), root.path().join("other"));
    write(&base.join("in"), "in\n");
    write(&base.join("key"), "secret\n");
    write(&other.join("in"), "other\n");
    fs::create_dir(&out).expect("a directory");
    let line = format!(
        "cd {0}; cat base/in; cat base/key; ls; (echo x > base/new); echo out > out/new && cat out/new; echo / /*; \
         ls -A /run /var/run /home/nobody; echo t > /tmp/t && cat /tmp/t; echo x > /usr/new; echo x > /new; \
         cat /etc/shadow; ls /bin/sh",
        root.path().display()
    );
    let named = Root {
        read: vec![text(&base)],
        write: vec![text(&out)],
        hidden: vec!["/etc/shadow".to_owned(), text(&base.join("key"))],
        empty: vec!["/home/nobody".to_owned()],
    };
    let order = strict(engine.shell(&line), named).with(|birth| birth.cwd = text(&base));
    let outcome = engine.run(order);
    let lines: Vec<&str> = outcome.output().lines().collect();
    assert_eq!(lines[..4], ["in", "base", "out", "out"]);
    let top: Vec<&str> = lines[4].split(' ').skip(1).collect();
    assert!(top.contains(&"/usr") && top.contains(&"/tmp") && !top.contains(&"/root"), "{top:?}");
    assert!(!top.contains(&"/boot") && !top.contains(&"/mnt") && !top.contains(&"/sys"), "{top:?}");
    assert!(lines.contains(&"t") && lines.contains(&"/bin/sh"), "{lines:#?}");
    let refused = outcome.stderr.lines().filter(|line| line.contains("denied") || line.contains("Read-only"));
    assert!(refused.count() >= 3, "{}", outcome.stderr);
    assert!(!outcome.stdout.contains("secret"), "{}", outcome.stdout);
    assert!(!base.join("new").exists());
}

fn strict_has_no_rights_at_all(engine: &mut Engine) {
    let line = "grep -E '^(Cap(Prm|Eff|Bnd|Amb)|NoNewPrivs|Seccomp):' /proc/self/status; readlink /proc/self/ns/user; \
                cat /proc/self/uid_map; kill -0 1; (echo 1 > /proc/sys/kernel/panic_on_oops) 2>/dev/null && echo wrote; true";
    let own = fs::read_link("/proc/self/ns/user").expect("a link");
    let outcome = engine.run(strict(engine.shell(line), bare_root()));
    let lines: Vec<&str> = outcome.output().lines().collect();
    let mut none: Vec<&str> = lines[..6].to_vec();
    none.sort_unstable();
    let zero = "0000000000000000";
    let expected = [
        format!("CapAmb:\t{zero}"),
        format!("CapBnd:\t{zero}"),
        format!("CapEff:\t{zero}"),
        format!("CapPrm:\t{zero}"),
        "NoNewPrivs:\t1".to_owned(),
        "Seccomp:\t2".to_owned(),
    ];
    assert_eq!(none, expected);
    assert_ne!(lines[6], text(&own));
    let uid = nix::unistd::geteuid().to_string();
    assert_eq!(lines[7].split_whitespace().collect::<Vec<_>>(), [&uid, &uid, "1"]);
    assert_eq!(lines.len(), 8, "{lines:#?}");
}

fn a_program_that_may_not_fork(engine: &mut Engine) {
    let alone = |order: Order| order.with(|birth| birth.sandbox.no_fork = true);
    let outcome = engine.run(alone(engine.shell("echo $$; (echo child); echo on")));
    assert!(outcome.stdout.starts_with("2\n") && !outcome.stdout.contains("child"), "{}", outcome.output());
    let outcome = engine.run(alone(engine.program(&["true"])));
    assert_eq!(outcome.leader(), (WaitStatus::Exited(0), 0));
    let missing = engine.run(alone(engine.program(&["/no/such/program"])));
    let failed = missing.frames.first();
    assert!(
        matches!(failed, Some(FromWorker::SetupFailed { stage: Stage::Exec, errno: nix::libc::ENOENT })),
        "{failed:?}"
    );
}

fn another_user(engine: &mut Engine) {
    if !nix::unistd::geteuid().is_root() {
        // Only root may.
        let order =
            engine.shell("id -u").with(|birth| birth.sandbox.user = Some(Identity { uid: 0, gid: 0 }));
        let outcome = engine.run(order);
        assert!(matches!(outcome.frames.first(), Some(FromWorker::SetupFailed { stage: Stage::User, .. })));
        return;
    }
    let nobody = Some(Identity { uid: 65534, gid: 65534 });
    let line =
        "id -u; id -g; id -G; grep CapEff: /proc/self/status; cat /etc/shadow > /dev/null || echo denied";
    let expected = "65534\n65534\n65534\nCapEff:\t0000000000000000\ndenied\n";
    let outcome = engine.run(engine.shell(line).with(|birth| birth.sandbox.user = nobody));
    assert_eq!(outcome.stdout, expected);
    let order = strict(engine.shell(line), bare_root()).with(|birth| birth.sandbox.user = nobody);
    assert_eq!(engine.run(order).stdout, expected);
}

/// CVE-2024-21626: a working directory that leads out of the root.
fn cwd_outside_is_refused(engine: &mut Engine) {
    for cwd in ["/proc/self/fd/3", "/boot"] {
        let order = strict(engine.shell("pwd"), bare_root()).with(|birth| {
            cwd.clone_into(&mut birth.cwd);
            birth.sandbox.tmp_size = Bytes(1 << 20);
        });
        let outcome = engine.run(order);
        let failed = outcome.frames.first();
        assert!(
            matches!(failed, Some(FromWorker::SetupFailed { stage: Stage::Cwd, .. })),
            "{cwd}: {failed:?}"
        );
    }
}
