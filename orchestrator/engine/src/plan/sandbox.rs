//! What a step can see and do, as it was chosen: each part by whoever stands nearest to the step.

use std::fmt;

use super::Enforcement;

/// The sandbox of a step, resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sandbox {
    /// Where it starts from.
    pub profile: Profile,
    /// What it can reach.
    pub network: Network,
    /// Paths that it may read, as they are written.
    pub read: Vec<String>,
    /// Paths that it may write, as they are written.
    pub write: Vec<String>,
    /// Names of variables of the engine's environment that pass through.
    pub env: Vec<String>,
    /// Whom it runs as; absent: as the engine.
    pub user: Option<User>,
    /// Which filter of system calls holds.
    pub seccomp: Seccomp,
    /// Whether it gets a sub-tree of cgroups of its own.
    pub delegate: bool,
    /// Whether a part that is missing on the host refuses the run.
    pub enforcement: Enforcement,
    /// Whether its program may start no other, only threads.
    pub no_fork: bool,
}

/// Sandbox profiles.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Profile {
    /// Own leaf, session, closed descriptors, scrubbed environment; no namespaces.
    None,
    /// Namespaces, private `/tmp`, fresh `/proc`, secrets hidden.
    #[default]
    Standard,
    /// Only what is named: files, no network, no right of root.
    Strict,
}

/// What a step can reach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Network {
    /// What the engine can.
    #[default]
    Host,
    /// Nothing.
    None,
    /// Itself.
    Loopback,
    /// These, through the engine's proxy.
    Allow(Vec<Endpoint>),
}

/// A host and a port that may be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// A name in lower case, an address without brackets, or `*.` and the end of names.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// A user of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum User {
    /// By name.
    Name(String),
    /// By number.
    Id(u32),
}

/// Which filter of system calls holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Seccomp {
    /// That of the profile.
    #[default]
    Default,
    /// One that leaves namespaces to programs which bring a sandbox of their own.
    AllowUserns,
}

/// What of a sandbox somebody chose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SandboxChoice {
    /// [`Sandbox::profile`].
    pub profile: Option<Profile>,
    /// [`Sandbox::network`].
    pub network: Option<Network>,
    /// [`Sandbox::read`].
    pub read: Option<Vec<String>>,
    /// [`Sandbox::write`].
    pub write: Option<Vec<String>>,
    /// [`Sandbox::env`].
    pub env: Option<Vec<String>>,
    /// [`Sandbox::user`].
    pub user: Option<User>,
    /// [`Sandbox::seccomp`].
    pub seccomp: Option<Seccomp>,
    /// [`Sandbox::delegate`].
    pub delegate: Option<bool>,
    /// [`Sandbox::enforcement`].
    pub enforcement: Option<Enforcement>,
}

impl SandboxChoice {
    /// What this leaves open is taken from another, which stands further from the step.
    #[must_use]
    pub fn or(self, further: Self) -> Self {
        Self {
            profile: self.profile.or(further.profile),
            network: self.network.or(further.network),
            read: self.read.or(further.read),
            write: self.write.or(further.write),
            env: self.env.or(further.env),
            user: self.user.or(further.user),
            seccomp: self.seccomp.or(further.seccomp),
            delegate: self.delegate.or(further.delegate),
            enforcement: self.enforcement.or(further.enforcement),
        }
    }

    /// What nobody chose is as the profile has it.
    pub fn resolve(self) -> Sandbox {
        let profile = self.profile.unwrap_or_default();
        let network = self.network.unwrap_or(match profile {
            Profile::None | Profile::Standard => Network::Host,
            Profile::Strict => Network::None,
        });
        Sandbox {
            profile,
            network,
            read: self.read.unwrap_or_default(),
            write: self.write.unwrap_or_default(),
            env: self.env.unwrap_or_default(),
            user: self.user,
            seccomp: self.seccomp.unwrap_or_default(),
            delegate: self.delegate.unwrap_or_default(),
            enforcement: self.enforcement.unwrap_or_default(),
            no_fork: false,
        }
    }
}

impl Endpoint {
    /// Reads `host:port`, `[address]:port` or `*.host:port`.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port != 0)?;
        let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match address {
            Some(address) => address.parse::<core::net::Ipv6Addr>().ok()?.to_string(),
            None => host.to_ascii_lowercase(),
        };
        let name = host.strip_prefix("*.").unwrap_or(&host);
        let label = |label: &str| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            !label.is_empty() && label.len() <= 63 && label.bytes().all(fits)
        };
        let fits = address.is_some() || (name.len() <= 253 && name.split('.').all(label));
        fits.then_some(Self { host, port })
    }

    /// Whether it stands for this host and port.
    pub fn fits(&self, host: &str, port: u16) -> bool {
        let host = host.to_ascii_lowercase();
        let host = host.strip_suffix('.').unwrap_or(&host);
        let same = match self.host.strip_prefix('*') {
            Some(end) => host.len() > end.len() && host.ends_with(end),
            None => host == self.host,
        };
        same && port == self.port
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(Endpoint::parse(text).map(|endpoint| endpoint.to_string()).as_deref(), expected, "{text}");
    }

    #[test]
    fn endpoints_are_hosts_with_ports() {
        check("api.Example.com:443", Some("api.example.com:443"));
        check("*.example.com:443", Some("*.example.com:443"));
        check("127.0.0.1:80", Some("127.0.0.1:80"));
        check("[::1]:8080", Some("[::1]:8080"));
        for wrong in
            ["a", "a:", "a:0", "a:65536", ":443", "a b:1", "[x]:1", "::1:1", "*:443", "a..b:1", "http://a:1"]
        {
            check(wrong, None);
        }
    }

    #[track_caller]
    fn check_fits(endpoint: &str, host: &str, port: u16, expected: bool) {
        assert_eq!(
            Endpoint::parse(endpoint).expect("an endpoint").fits(host, port),
            expected,
            "{host}:{port}"
        );
    }

    #[test]
    fn an_endpoint_stands_for_its_host_alone() {
        check_fits("a.com:443", "A.com", 443, true);
        check_fits("a.com:443", "a.com.", 443, true);
        check_fits("a.com:443", "a.com", 80, false);
        check_fits("a.com:443", "b.a.com", 443, false);
        check_fits("*.a.com:443", "b.a.com", 443, true);
        check_fits("*.a.com:443", "a.com", 443, false);
        check_fits("*.a.com:443", "ba.com", 443, false);
    }

    #[test]
    fn who_stands_nearer_chooses() {
        let near = SandboxChoice { network: Some(Network::Loopback), ..SandboxChoice::default() };
        let far = SandboxChoice {
            profile: Some(Profile::Strict),
            network: Some(Network::Host),
            ..SandboxChoice::default()
        };
        let sandbox = near.or(far).resolve();
        assert_eq!((sandbox.profile, sandbox.network), (Profile::Strict, Network::Loopback));
        let strict = SandboxChoice { profile: Some(Profile::Strict), ..SandboxChoice::default() };
        assert_eq!(strict.resolve().network, Network::None);
        assert_eq!(SandboxChoice::default().resolve().network, Network::Host);
    }
}
