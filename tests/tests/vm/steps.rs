//! Steps that several tests of the virtual machine run.

use integration_tests::definition::shell;
use serde_json::Value;

/// A step that has a cgroup `eater` below its own, to which it hands its controllers on: only a cgroup without processes
/// may.
pub(super) fn own_cgroup(id: &str, command: &str) -> Value {
    let prepare = "set -e; cd /sys/fs/cgroup; mkdir rest eater
        for pid in $(cat cgroup.procs); do echo $pid >rest/cgroup.procs || :; done
        echo +memory >cgroup.subtree_control";
    shell(id, &format!("{prepare}; {command}"))
}

/// A step of three processes below each other, each in a session of its own, that ignores what it is asked.
pub(super) fn deep() -> Value {
    let command = "trap '' TERM HUP
        setsid sh -c ': >deep.2; setsid sh -c \": >deep.3; exec sleep 27182\" & wait' &
        : >deep.1; wait";
    shell("deep", command)
}
