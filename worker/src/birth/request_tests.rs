//! The rules of [`super`], as far as the order of fields goes; refusals are tested with real births.

use super::*;

#[track_caller]
fn check_path_of(env: &[(&str, &str)], expected: Option<&str>) {
    let env = env.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    let program = program(vec!["a".to_owned()], env).expect("valid");
    assert_eq!(program.path.as_deref(), expected);
}

#[test]
fn the_last_path_counts() {
    check_path_of(&[], None);
    check_path_of(&[("PATH", "/a"), ("B", "c")], Some("/a"));
    check_path_of(&[("PATH", "/a"), ("PATH", "/b")], Some("/b"));
}

#[test]
fn variables() {
    for (name, value, expected) in [
        ("A", "b=c", Ok(c"A=b=c")),
        ("A", "", Ok(c"A=")),
        ("", "b", Err(Errno::EINVAL)),
        ("A=", "b", Err(Errno::EINVAL)),
    ] {
        assert_eq!(variable(name, value).as_deref(), expected.as_ref().copied());
    }
}

#[test]
fn paths() {
    for (path, valid) in
        [("/", true), ("/a/b", true), ("a", false), ("", false), ("/a/../b", false), ("./a", false)]
    {
        assert_eq!(check_path(Path::new(path)).is_ok(), valid, "{path}");
    }
}
