//! Tests of patterns of tools, and of the vendor's files.

use super::*;

#[track_caller]
fn check(pattern: &str, tool: &str, expected: bool) {
    assert_eq!(is_named(pattern, tool), expected, "{pattern} {tool}");
}

#[test]
fn patterns_name_tools() {
    check("fs_read", "fs_read", true);
    check("fs_read", "fs_write", false);
    check("FS_READ", "fs_read", false);
    check("fs_*", "fs_write", true);
    check("fs_????", "fs_read", true);
    check("shell", "execute_bash", true);
    check("*", "@git/push", true);
    check("@builtin", "grep", true);
    check("@builtin", "@git/push", false);
    check("@git", "@git/push", true);
    check("@git", "@github/push", false);
    check("@git*", "@github/push", true);
    check("@git/read_*", "@git/read_log", true);
    check("@git/read_*", "@git/push", false);
    check("skill:echo", "skill:echo", true);
    check("skill:*", "skill:echo", true);
    check("", "fs_read", false);
    check("*a*b*", "xaxxbx", true);
    check("*a*b*", "xbxxax", false);
}

fn list(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[track_caller]
fn check_rules(rules: &ToolRules, tool: &str, allowed: bool, rule: &str) {
    assert_eq!(rules.decide(tool), Decision { allowed, rule }, "{tool}");
}

#[test]
fn denied_comes_before_allowed_and_lists_of_the_agent_bound_the_step() {
    let rules = ToolRules {
        allowed: list(&["*"]),
        within: vec![("tools".to_owned(), list(&["fs_read", "grep", "execute_bash"]))],
        denied: list(&["execute_*"]),
    };
    check_rules(&rules, "fs_read", true, "allowed_tools");
    check_rules(&rules, "execute_bash", false, "denied_tools");
    check_rules(&rules, "fs_write", false, "tools");
    check_rules(&rules, "finish", true, "always");
    check_rules(&ToolRules::default(), "fs_read", false, "allowed_tools");
    check_rules(&ToolRules::default(), "finish", true, "always");
    assert!(!rules.can_write());
    assert!(ToolRules { allowed: list(&["shell"]), ..ToolRules::default() }.can_write());
}

#[test]
fn a_file_of_the_vendor_is_read() {
    let text = r#"{
        "$schema": "https://example.com/agent-v1.json", "name": "rust", "description": null,
        "prompt": "file://./prompt.md", "model": null,
        "mcpServers": {"git": {"command": "mcp-git", "args": ["--stdio"], "timeout": 1000, "autoApprove": []}},
        "tools": ["*"], "toolAliases": {"@git/log": "log"}, "allowedTools": ["fs_read", "@git/read_*"],
        "toolsSettings": {"fs_read": {"allowedPaths": ["~/src/**"]}, "execute_bash": {"autoAllowReadonly": true}},
        "resources": ["file://README.md"], "useLegacyMcpJson": true,
        "hooks": {"preToolUse": [{"matcher": "fs_write", "command": "exit 2", "cache_ttl_seconds": 5}]}
    }"#;
    let file: AgentFile = serde_json::from_str(text).expect("it is right");
    assert_eq!((file.description, file.model), (None, None));
    let servers = file.mcp_servers.expect("given");
    assert_eq!(servers["git"].args.as_deref(), Some(&["--stdio".to_owned()][..]));
    let settings = file.tools_settings.expect("given");
    assert_eq!(settings["fs_read"].allowed_paths.as_deref(), Some(&["~/src/**".to_owned()][..]));
    assert_eq!(file.hooks.expect("given")["preToolUse"][0].command, "exit 2");
}
