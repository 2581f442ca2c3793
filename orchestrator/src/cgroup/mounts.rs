//! What `/proc/self/mountinfo` and `/proc/self/cgroup` tell: where the v2 hierarchy is mounted, which cgroup is ours,
//! and what is mounted where. Pure: proc_pid_mountinfo(5), cgroups(7).

use std::path::{Component, Path, PathBuf};

/// One line of mountinfo.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    /// What of the file system is mounted.
    root: String,
    /// Where.
    point: PathBuf,
    /// The type of the file system.
    kind: String,
    /// The device, or a word.
    source: String,
}

impl Mount {
    fn parse(line: &str) -> Option<Self> {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(3);
        let mut right = right.split(' ');
        Some(Self {
            root: unescape(left.next()?),
            point: PathBuf::from(unescape(left.next()?)),
            kind: right.next()?.to_owned(),
            source: unescape(right.next()?),
        })
    }
}

/// The mount point of the v2 hierarchy: its whole tree is mounted there.
pub(crate) fn v2_mount(mountinfo: &str) -> Option<PathBuf> {
    let mounts = mountinfo.lines().filter_map(Mount::parse);
    mounts.into_iter().find(|mount| mount.kind == "cgroup2" && mount.root == "/").map(|mount| mount.point)
}

/// The types of the file systems that are mounted.
pub(crate) fn types(mountinfo: &str) -> impl Iterator<Item = String> {
    mountinfo.lines().filter_map(Mount::parse).map(|mount| mount.kind)
}

/// Where file systems of these types are mounted.
pub(crate) fn points(mountinfo: &str, kinds: &[&str]) -> Vec<PathBuf> {
    let mounts = mountinfo.lines().filter_map(Mount::parse);
    mounts.filter(|mount| kinds.contains(&mount.kind.as_str())).map(|mount| mount.point).collect()
}

/// What is mounted where a path lies. Of mounts at the same place the last one is on top.
pub(super) fn source_of(mountinfo: &str, path: &Path) -> Option<PathBuf> {
    let around = mountinfo.lines().filter_map(Mount::parse).filter(|mount| path.starts_with(&mount.point));
    around.max_by_key(|mount| mount.point.components().count()).map(|mount| PathBuf::from(mount.source))
}

/// The path in the `0::` line of `/proc/self/cgroup`.
pub(super) fn own_path(text: &str) -> Option<&str> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    (!path.ends_with(" (deleted)")).then_some(path)
}

/// A cgroup's directory below the mount; `None`: it lies outside of what is mounted.
pub(super) fn below(mount: &Path, own: &str) -> Option<PathBuf> {
    let relative = Path::new(own.strip_prefix('/')?);
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    // Joining nothing would add a slash.
    let root = relative.as_os_str().is_empty();
    plain.then(|| if root { mount.to_owned() } else { mount.join(relative) })
}

/// Undoes the octal escapes of mountinfo: space, tab, line feed and backslash. In one pass: an escaped backslash begins
/// no other escape.
fn unescape(field: &str) -> String {
    let mut text = String::with_capacity(field.len());
    let mut rest = field;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let character = match rest.get(at + 1..at + 4) {
            Some("040") => Some(' '),
            Some("011") => Some('\t'),
            Some("012") => Some('\n'),
            Some("134") => Some('\\'),
            Some(_) | None => None,
        };
        text.push(character.unwrap_or('\\'));
        rest = &rest[at + if character.is_some() { 4 } else { 1 }..];
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HYBRID: &str = "30 25 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n\
        31 30 0:27 / /sys/fs/cgroup/cpu rw shared:1 - cgroup cgroup rw,cpu\n\
        32 30 0:28 / /sys/fs/cgroup/uni\\040fied rw - cgroup2 cgroup2 rw\n\
        33 25 8:1 / / rw,relatime shared:2 master:1 - ext4 /dev/sda1 rw\n\
        34 33 0:40 /@data /da\\134040ta rw - btrfs /dev/sdb rw\n";

    #[track_caller]
    fn check_own(text: &str, expected: Option<&str>) {
        assert_eq!(own_path(text), expected, "{text:?}");
    }

    #[test]
    fn the_own_cgroup_is_the_line_without_controllers() {
        check_own("9:name=systemd:/\n0::/user.slice/a:b\n", Some("/user.slice/a:b"));
        check_own("10::/x\n0::/\n", Some("/"));
        check_own("0::/gone (deleted)\n", None);
        check_own("0::/kept (deleted)/x\n", Some("/kept (deleted)/x"));
        check_own("4:memory:/x\n", None);
        check_own("", None);
    }

    #[track_caller]
    fn check_below(own: &str, expected: Option<&str>) {
        let found = below(Path::new("/m"), own);
        assert_eq!(found.as_deref().map(Path::as_os_str), expected.map(AsRef::as_ref), "{own:?}");
    }

    #[test]
    fn a_path_that_climbs_is_not_below_the_mount() {
        check_below("/../x", None);
        check_below("/a/../../x", None);
        check_below("a", None);
        check_below("", None);
        check_below("/", Some("/m"));
        check_below("/a:b/c d", Some("/m/a:b/c d"));
    }

    #[test]
    fn the_v2_mount_is_found_among_others() {
        assert_eq!(v2_mount(HYBRID), Some(PathBuf::from("/sys/fs/cgroup/uni fied")));
        assert_eq!(v2_mount("32 30 0:28 /sub /x rw - cgroup2 cgroup2 rw\n"), None);
        assert_eq!(v2_mount("32 30 0:28 / /x rw - cgroup2\n"), None);
        assert_eq!(v2_mount("garbage"), None);
    }

    #[test]
    fn what_is_mounted_around_a_path() {
        let check = |path: &str, expected: &str| {
            assert_eq!(source_of(HYBRID, Path::new(path)), Some(PathBuf::from(expected)), "{path}");
        };
        check("/da", "/dev/sda1");
        check("/da\\040ta/x", "/dev/sdb");
        check("/sys/fs/cgroup/x", "tmpfs");
        let twice = format!("{HYBRID}35 33 0:41 / / rw - tmpfs top rw\n");
        assert_eq!(source_of(&twice, Path::new("/etc")), Some(PathBuf::from("top")));
    }

    proptest! {
        #[test]
        fn nothing_leads_out_of_the_mount(text in "\\PC{0,60}", own in "(/|\\.\\.|\\.|a|:| \\(deleted\\)){0,8}") {
            for line in [format!("0::{text}"), format!("0::{own}\n"), own] {
                if let Some(found) = own_path(&line).and_then(|own| below(Path::new("/m"), own)) {
                    prop_assert!(found.starts_with("/m"));
                    prop_assert!(found.components().all(|part| part != Component::ParentDir));
                }
            }
        }

        #[test]
        fn any_mountinfo_is_read(text in "([\\PC]{0,20}( - )?[ \\\\0-7a-z/\n]{0,30}){0,6}") {
            let found = v2_mount(&text);
            prop_assert!(found.is_none() || text.contains("cgroup2"));
            let _sources = (source_of(&text, Path::new("/a")), types(&text).count());
        }

        #[test]
        fn escapes_are_undone(plain in "[ \t\n\\\\a0-4]{0,20}") {
            let mut escaped = String::new();
            for character in plain.chars() {
                match character {
                    ' ' => escaped.push_str("\\040"),
                    '\t' => escaped.push_str("\\011"),
                    '\n' => escaped.push_str("\\012"),
                    '\\' => escaped.push_str("\\134"),
                    other => escaped.push(other),
                }
            }
            prop_assert_eq!(unescape(&escaped), plain);
        }
    }
}
