//! What a step tries in order to get out. It says what worked; where it is held, it says nothing. Where nothing holds it,
//! it only looks: what could do harm is tried in a namespace of mounts of its own alone.

use std::{fs, path::Path};

use crate::program;

/// A shell script that tries everything, for busybox too. `home` is the engine's.
#[track_caller]
pub fn script(home: &Path) -> String {
    let outer = fs::read_link("/proc/self/ns/mnt").expect("/proc is there");
    let words = [("HOME_OF_Q", home), ("PROGRAM_Q", program::q()), ("OUTER", &outer)];
    words
        .into_iter()
        .fold(TRIES.to_owned(), |text, (word, path)| text.replace(word, &path.display().to_string()))
}

const TRIES: &str = r#"
worked() { echo "$1: worked"; }
opens() { (: >>"$1") 2>/dev/null && worked "write $1"; }
# Records of the engine, among them the definition of this very run.
cat HOME_OF_Q/runs/*/journal.jsonl HOME_OF_Q/runs/*/definition* 2>/dev/null | grep -q . && worked "records"
(: >HOME_OF_Q/q-escape) 2>/dev/null && worked "write to the home of q" && rm HOME_OF_Q/q-escape
[ "$(ls -d /proc/[0-9]* | wc -l)" -lt 10 ] || worked "processes of others"
# Rights.
[ "$(sed -n 's/^NoNewPrivs:[^0-9]*//p' /proc/self/status)" = 1 ] || worked "new privileges"
[ "$(sed -n 's/^Seccomp:[^0-9]*//p' /proc/self/status)" = 2 ] || worked "every system call"
(ulimit -c unlimited) 2>/dev/null && worked "core files"
echo looked
[ "$(readlink /proc/self/ns/mnt)" != "OUTER" ] || exit 0
# Its leaf, and those of others, wherever a hierarchy is mounted.
for at in $(sed -n 's/^[^ ]* [^ ]* [^ ]* [^ ]* \([^ ]*\) .* - cgroup2* .*/\1/p' /proc/self/mountinfo) /sys/fs/cgroup; do
    opens "$at/cgroup.procs"; opens "$at/cgroup.kill"; opens "$at/memory.max"
    mkdir "$at/q-escape" 2>/dev/null && worked "mkdir in $at" && rmdir "$at/q-escape"
done
# The machine.
for file in /proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe /proc/sys/vm/overcommit_memory /proc/sysrq-trigger \
    /proc/scsi/scsi /proc/dynamic_debug/control /sys/kernel/uevent_helper /sys/kernel/profiling /sys/power/state \
    /dev/kmsg /dev/mem /dev/sda /dev/vda /dev/nvme0n1 /dev/loop-control /dev/fuse /dev/kvm; do
    [ -e "$file" ] && opens "$file"
done
for place in /tmp /dev/shm "$WORKFLOW_WORK_DIR"; do
    mknod "$place/q-escape" b 7 200 2>/dev/null && worked "mknod in $place" && rm "$place/q-escape"
done
ls -l /dev 2>/dev/null | grep -q '^b' && worked "block devices"
(echo -500 >/proc/self/oom_score_adj) 2>/dev/null && worked "kept longer than others"
# Process 1, which knows more than the step.
ls /proc/1/root/ >/dev/null 2>&1 && worked "root of process 1"
ls /proc/1/cwd/ >/dev/null 2>&1 && worked "directory of process 1"
readlink /proc/1/fd/0 >/dev/null 2>&1 && worked "descriptors of process 1"
(cat /proc/1/environ) >/dev/null 2>&1 && worked "environment of process 1"
opens /proc/1/mem
# Namespaces and mounts.
unshare -m true 2>/dev/null && worked "unshare -m"
unshare -U true 2>/dev/null && worked "unshare -U"
mount -t tmpfs none /tmp 2>/dev/null && worked "mount"
umount /dev/shm 2>/dev/null && worked "umount"
chroot / true 2>/dev/null && worked "chroot"
nsenter -t 1 -m true 2>/dev/null && worked "nsenter"
# What lies around its own directory, and the program itself.
mkdir "$WORKFLOW_WORK_DIR/../q-escape" 2>/dev/null && worked "mkdir beside the work directory"
mv HOME_OF_Q HOME_OF_Q.moved 2>/dev/null && worked "move the home of q" && mv HOME_OF_Q.moved HOME_OF_Q
opens PROGRAM_Q
mv PROGRAM_Q PROGRAM_Q.moved 2>/dev/null && worked "move q" && mv PROGRAM_Q.moved PROGRAM_Q
echo tried
"#;
