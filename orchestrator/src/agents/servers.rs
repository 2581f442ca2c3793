//! MCP servers that stand in a vendor's file of their own, for agents whose files say that these are theirs too.

use std::path::Path;

use schemas::agent::{AgentFile, KIRO_MCP_FILES, LEGACY_MCP_FILES, McpFile};

use crate::store::files::{self, Trouble};

/// Longest such file.
const FILE_MAX: u64 = 1024 * 1024;

/// Adds the servers that an agent's file asks for. Its own come first, then those of the working directory, then the
/// user's. An error names the file that cannot be used; one that is not there has none.
pub(super) fn add(file: &mut AgentFile, here: &Path, user: Option<&Path>) -> Result<(), String> {
    let asked = [(file.use_legacy_mcp_json, LEGACY_MCP_FILES), (file.include_mcp_json, KIRO_MCP_FILES)];
    for (_, [in_folder, at_home]) in asked.into_iter().filter(|(asked, _)| *asked == Some(true)) {
        let paths = [Some(here.join(in_folder)), user.map(|user| user.join(at_home))];
        for path in paths.into_iter().flatten() {
            let found = read(&path).map_err(|why| format!("{}: {why}", path.display()))?;
            let servers = file.mcp_servers.get_or_insert_default();
            for (name, server) in found.servers {
                servers.entry(name).or_insert(server);
            }
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<McpFile, String> {
    match files::read_capped(path, FILE_MAX) {
        Ok(text) => serde_json::from_slice(&text).map_err(|error| error.to_string()),
        Err(fault) if fault.trouble() == Trouble::Missing => Ok(McpFile::default()),
        Err(fault) => Err(fault.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// The commands of the servers of an agent, with `files` below the working directory and the user's home.
    #[track_caller]
    fn check(agent: &str, files: &[(&str, &str)], expected: Result<&[(&str, &str)], &str>) {
        let root = tempfile::tempdir().unwrap();
        let (here, user) = (root.path().join("here"), root.path().join("user"));
        for (path, text) in files {
            let path = root.path().join(path);
            crate::store::files::ensure_dir(path.parent().unwrap()).unwrap();
            std::fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
        }
        let mut file: AgentFile = serde_json::from_str(agent).unwrap();
        match (add(&mut file, &here, Some(&user)), expected) {
            (Ok(()), Ok(expected)) => {
                let found = file.mcp_servers.unwrap_or_default();
                let found: Vec<_> = found
                    .iter()
                    .map(|(name, server)| (name.as_str(), server.command.as_deref().unwrap_or_default()))
                    .collect();
                assert_eq!(found, expected, "{agent}");
            }
            (Err(why), Err(expected)) => assert!(why.contains(expected), "{why}"),
            (found, expected) => panic!("{found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn servers_are_added_where_the_agent_asks_for_them() {
        let q =
            ("here/.amazonq/mcp.json", r#"{"mcpServers":{"git":{"command":"q-git"},"own":{"command":"x"}}}"#);
        let user = (
            "user/.aws/amazonq/mcp.json",
            r#"{"mcpServers":{"git":{"command":"y"},"time":{"command":"q-time"}}}"#,
        );
        let kiro = ("here/.kiro/settings/mcp.json", r#"{"mcpServers":{"kiro":{"command":"k"}}}"#);
        let all = [q, user, kiro];
        check("{}", &all, Ok(&[]));
        check(r#"{"useLegacyMcpJson":false}"#, &all, Ok(&[]));
        let own = r#"{"useLegacyMcpJson":true,"mcpServers":{"own":{"command":"mine"}}}"#;
        check(own, &all, Ok(&[("git", "q-git"), ("own", "mine"), ("time", "q-time")]));
        check(r#"{"includeMcpJson":true}"#, &all, Ok(&[("kiro", "k")]));
        check(r#"{"includeMcpJson":true}"#, &[q], Ok(&[]));
        let torn = ("here/.amazonq/mcp.json", "{");
        check(r#"{"useLegacyMcpJson":true}"#, &[torn], Err(".amazonq/mcp.json: "));
    }
}
