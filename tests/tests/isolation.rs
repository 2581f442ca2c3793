//! What a step cannot see, reach or do, end to end: the profiles and the parts of a sandbox. What a single birth
//! does is tested in the worker.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::{fs::MetadataExt as _, net::UnixListener},
    path::Path,
    thread,
};

use integration_tests::{
    Fixture,
    definition::{echo, shell, skill, with, workflow},
    fixture::write_file,
    server::{Answer, Server},
    view::{attempt, outputs, step},
};
use serde_json::{Value, json};

fn stdout(view: &Value, id: &str) -> String {
    outputs(view, id)["stdout"].as_str().expect("stdout is text").to_owned()
}

fn own_uid() -> u32 {
    fs::metadata("/proc/self").expect("/proc is mounted").uid()
}

fn notes(view: &Value) -> String {
    view["isolation"]["notes"].to_string()
}

#[test]
fn standard_hides_the_home_of_the_engine_and_secrets_of_the_user() {
    let fixture = Fixture::new();
    write_file(&fixture.user_home().join(".ssh/id_test"), b"private");
    write_file(&fixture.user_home().join(".netrc"), b"private");
    write_file(&fixture.user_home().join("plain"), b"plain");
    let socket = fixture.user_home().join("docker.sock");
    let _listener = UnixListener::bind(&socket).expect("a socket");
    let script = "ls $HOME/.ssh; cat $HOME/.netrc; cat $HOME/plain; ls $STATE; ls $STATE/runs; \
                  [ -S $HOME/docker.sock ] || echo no socket; echo mine > $WORKFLOW_WORK_DIR/x; cat $WORKFLOW_WORK_DIR/x";
    // The user's home lies in /tmp here, and would not be seen at all.
    let env = json!({"env": {"STATE": fixture.home()}, "sandbox": {"read": ["~"]}});
    fixture.define(&workflow(&[with(shell("look", script), env)]));
    let mut command = fixture.q(["run", "workflow.json", "--json"]);
    command.env("DOCKER_HOST", format!("unix://{}", socket.display()));
    let view = fixture.start(command).finish().exits(0).json();
    let run = view["run_id"].as_str().expect("it has one");
    // Of the home only the way to the step's own directory is there.
    assert_eq!(stdout(&view, "look"), format!("plainruns\n{run}\nno socket\nmine\n"));
    assert_eq!(view["isolation"]["filesystem"], "mount", "{view:#}");
}

#[test]
fn what_is_declared_is_visible() {
    let fixture = Fixture::new();
    write_file(&fixture.user_home().join(".aws/config"), b"region\n");
    let open = json!({"sandbox": {"read": ["~", "~/.aws"], "env": ["SPECIAL"]}});
    let script = "cat $HOME/.aws/config; echo $SPECIAL";
    fixture.define(&workflow(&[
        with(shell("shut", "ls $HOME/.aws"), json!({"sandbox": {"read": ["~"]}})),
        with(shell("open", script), open),
    ]));
    let mut command = fixture.q(["run", "workflow.json", "--json"]);
    command.env("SPECIAL", "passed");
    let view = fixture.start(command).finish().exits(0).json();
    assert_eq!(
        (stdout(&view, "shut"), stdout(&view, "open")),
        (String::new(), "region\npassed\n".to_owned())
    );
}

#[test]
fn standard_cannot_reach_the_machine() {
    let fixture = Fixture::new();
    // The binary of q, the settings of the machine, block devices, cgroups, namespaces.
    let script = "cp /bin/true $Q 2>/dev/null; rm -f $Q 2>/dev/null; [ -e $Q ] && echo there; \
                  ls /dev | grep -cE '^(sd|vd|nvme|loop|mem|kmem|kmsg)'; \
                  ls -d /dev/vda /dev/mem 2>/dev/null; \
                  find /sys/fs/cgroup -name cgroup.procs -writable 2>/dev/null | head -n 1; \
                  (mkdir /sys/fs/cgroup/x || mkdir /sys/fs/cgroup/unified/x) 2>/dev/null && echo made; \
                  unshare -U true 2>/dev/null && echo unshared; mount -t tmpfs x /mnt 2>/dev/null && echo mounted; \
                  grep -E '^Seccomp:' /proc/self/status";
    let q = integration_tests::program::q();
    let before = fs::read(q).expect("it is there").len();
    let view = fixture.run(&workflow(&[with(shell("try", script), json!({"env": {"Q": q}}))]));
    let view = view.exits(0).json();
    assert_eq!(stdout(&view, "try"), "there\n0\nSeccomp:\t2\n");
    assert_eq!(fs::read(q).expect("it is there").len(), before);
}

#[test]
fn strict_shows_what_is_named() {
    let fixture = Fixture::new();
    fixture.write("in", "input\n");
    fs::create_dir(fixture.work().join("out")).expect("the directory is ours");
    let script = "cat in; (echo x > in) 2>/dev/null && echo wrote; echo result > out/made; \
                  [ $HOME = $WORKFLOW_WORK_DIR ] && echo home; touch $HOME/x && echo writable; ls -A $OTHER; \
                  cat /etc/shadow 2>/dev/null; tail -n +3 /proc/net/dev | grep -vc lo:; grep CapEff /proc/self/status; id -u";
    let strict =
        json!({"sandbox": {"profile": "strict", "write": ["out"]}, "env": {"OTHER": fixture.user_home()}});
    write_file(&fixture.user_home().join("secret"), b"x");
    let steps = [with(shell("inside", script), strict), with(echo("next", json!({"a": 1})), json!({}))];
    let view = fixture.run(&workflow(&steps)).exits(0).json();
    let uid = own_uid();
    let expected = format!("input\nhome\nwritable\n0\nCapEff:\t0000000000000000\n{uid}\n");
    assert_eq!(stdout(&view, "inside"), expected);
    assert_eq!(fixture.read("out/made"), "result\n");
    assert_eq!(fixture.read("in"), "input\n");
    let isolation = &attempt(&view, "inside")["isolation"];
    assert_eq!((&isolation["network"], &isolation["filesystem"]), (&json!("netns"), &json!("landlock")));
    // That of the run is the weakest of its attempts.
    assert_eq!(view["isolation"]["network"], "host", "{view:#}");
}

#[test]
fn parts_are_chosen_by_who_stands_nearest() {
    let fixture = Fixture::new();
    let look = "tail -n +3 /proc/net/dev | grep -c lo:; grep CapEff /proc/self/status; id -u";
    fixture.write_skill(
        "skills",
        "quiet",
        json!({"protocol": "text", "sandbox": {"network": "loopback"}}),
        look,
    );
    let call = |id: &str| json!({"id": id, "type": "skill", "skill": "quiet"});
    let definition = with(
        workflow(&[call("inherits"), with(call("own"), json!({"sandbox": {"network": "none"}}))]),
        json!({"sandbox": "strict"}),
    );
    let view = fixture.run(&definition).exits(0).json();
    for (id, network) in [("inherits", "netns"), ("own", "netns")] {
        let isolation = &attempt(&view, id)["isolation"];
        assert_eq!(
            (&isolation["network"], &isolation["filesystem"]),
            (&json!(network), &json!("landlock")),
            "{id}"
        );
    }
    assert_eq!(view["isolation"]["network"], "netns", "{view:#}");
}

/// A server that answers every connection with a line, once for each.
fn server() -> (u16, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("it has one").port();
    (port, listener)
}

/// A request by the proxy that bash can make without any other program.
fn ask(port: u16) -> String {
    format!(
        "bash -c 'exec 5<>/dev/tcp/127.0.0.1/3128; \
         printf \"GET http://127.0.0.1:{port}/x HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n\" >&5; cat <&5' | tail -n 1"
    )
}

#[test]
fn hosts_that_are_allowed_are_reached_by_the_proxy_alone() {
    let fixture = Fixture::new();
    let (port, listener) = server();
    let answers = thread::spawn(move || {
        let (mut connection, _) = listener.accept().expect("it is reached");
        let mut head = [0; 6];
        connection.read_exact(&mut head).expect("it speaks");
        connection.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nreached\n").expect("it listens");
        head
    });
    let script = format!(
        "echo $https_proxy; {}; (exec 6<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null || echo shut",
        ask(port)
    );
    let allow = json!({"sandbox": {"network": {"allow": [format!("127.0.0.1:{port}")]}}});
    let view = fixture.run(&workflow(&[with(shell("fetch", &script), allow)])).exits(0).json();
    assert_eq!(stdout(&view, "fetch"), "http://127.0.0.1:3128\nreached\nshut\n");
    assert_eq!(&answers.join().expect("it ends"), b"GET /x");
    assert_eq!(view["isolation"]["network"], "proxy", "{view:#}");
}

#[test]
fn built_in_skills_reach_allowed_hosts_by_the_proxy_too() {
    let fixture = Fixture::new();
    let server = Server::start(vec![Answer::json(r#"{"reached": true}"#)]);
    let host = server.url().trim_start_matches("http://").to_owned();
    let get = |id: &str, allowed: &str| {
        let sandbox = json!({"sandbox": {"network": {"allow": [allowed]}}, "error_handling": "skip"});
        with(skill(id, "http-get", json!({"url": server.url()})), sandbox)
    };
    let view = fixture.run(&workflow(&[get("near", &host), get("far", "other.example:443")])).exits(0).json();
    assert_eq!(step(&view, "near")["outputs"]["response"], json!({"reached": true}), "{view:#}");
    assert_eq!(step(&view, "far")["attempts"][0]["status"], "failed", "{view:#}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_host_that_is_not_allowed_is_refused_and_named() {
    let fixture = Fixture::new();
    let (port, _listener) = server();
    let script = format!("{}; exit 3", ask(port));
    let allow = json!({"sandbox": {"network": {"allow": ["other.example:443"]}}});
    let view = fixture.run(&workflow(&[with(shell("fetch", &script), allow)])).exits(1).json();
    let error = &step(&view, "fetch")["error"];
    assert_eq!(error["code"], "sandbox_denied", "{error:#}");
    let message = error["message"].as_str().expect("text");
    assert!(message.contains(&format!("127.0.0.1:{port}")), "{message}");
    assert_eq!(error["details"]["exit_code"], 3, "{error:#}");
}

#[test]
fn untrusted_programs_need_a_kernel_that_holds_them() {
    let fixture = Fixture::new();
    fixture.define(&workflow(&[with(shell("try", "echo in"), json!({"trust": "untrusted"}))]));
    let finished = fixture.workflow(["run", "workflow.json", "--json"]);
    if finished.code == 7 {
        // No memory controller here: nothing has started, nothing is there.
        assert!(finished.stderr.contains("memory of step `try`"), "{}", finished.stderr);
        assert_eq!(fixture.run_ids(), <[String; 0]>::default());
    } else {
        let view = finished.exits(0).json();
        assert_eq!(stdout(&view, "try"), "in\n");
        assert_eq!(attempt(&view, "try")["isolation"]["filesystem"], "landlock", "{view:#}");
    }
}

#[test]
fn another_user_is_had_by_root_alone() {
    let fixture = Fixture::new();
    let nobody = json!({"sandbox": {"user": "nobody"}});
    fixture.define(&workflow(&[
        with(shell("who", "id -un; echo $USER; touch $WORKFLOW_WORK_DIR/x && echo mine"), nobody.clone()),
        // It touches nothing, and keeps no capability by which it could become somebody.
        with(echo("built-in", json!({"message": "Hello"})), nobody),
    ]));
    open_to_all(fixture.work().parent().expect("the world of the test"));
    let finished = fixture.workflow(["run", "workflow.json", "--json"]);
    if own_uid() == 0 {
        let view = finished.exits(0).json();
        assert_eq!(stdout(&view, "who"), "nobody\nnobody\nmine\n");
    } else {
        assert!(finished.exits(7).stderr.contains("another user"));
    }
}

/// Lets others pass the directories above a step's.
fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
}

#[test]
fn a_working_directory_in_proc_is_refused() {
    let fixture = Fixture::new();
    let view =
        fixture.run(&workflow(&[with(shell("a", "pwd"), json!({"cwd": "/proc/self/fd/3"}))])).exits(1).json();
    let error = &step(&view, "a")["error"];
    assert_eq!(
        (&error["code"], &error["details"]["stage"]),
        (&json!("sandbox_error"), &json!("cwd")),
        "{error:#}"
    );
    assert_eq!(error["details"]["started"], false, "{error:#}");
}

#[test]
fn built_in_skills_that_touch_nothing_cannot() {
    let fixture = Fixture::new();
    // They run all the same, each of them.
    let steps = [
        echo("echo", json!({"a": "x"})),
        json!({"id": "parse", "type": "skill", "skill": "json-parse", "inputs": {"data": "{\"a\": 1}"}}),
        json!({"id": "hash", "type": "skill", "skill": "hash", "inputs": {"data": "x"}}),
        json!({"id": "assert", "type": "skill", "skill": "assert", "inputs": {"that": true}}),
        json!({"id": "sleep", "type": "skill", "skill": "sleep", "inputs": {"duration": "1ms"}}),
        json!({"id": "log", "type": "skill", "skill": "log-error", "inputs": {"message": "x"}}),
        json!({"id": "a", "type": "skill", "skill": "process-a", "inputs": {"x": "y"}}),
        json!({"id": "b", "type": "skill", "skill": "process-b", "inputs": {"x": "y"}}),
    ];
    for sandbox in ["none", "standard", "strict"] {
        let definition = with(workflow(&steps), json!({"sandbox": sandbox}));
        fixture.run(&definition).exits(0).json();
    }
    // As a program that is held by the same filter would be: the worker's own tests have it.
    let view = fixture.run(&workflow(&[echo("one", json!({}))])).exits(0).json();
    assert!(notes(&view).contains("touch no file"), "{view:#}");
}
