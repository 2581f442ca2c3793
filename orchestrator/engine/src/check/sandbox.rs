//! `sandbox` and `trust`: what of a sandbox was chosen where, and what trust makes of it.

use std::time::Duration;

use schemas::{definition::policy::SANDBOX_CHOICE, json::Json};

use crate::{
    diagnostic::{
        Problems,
        codes::{BAD_ENDPOINT, UNHELD_SANDBOX},
    },
    load::{self, Node},
    plan::{Endpoint, Enforcement, Limits, Network, Profile, Sandbox, SandboxChoice, Seccomp, User},
    units::Bytes,
};

/// How far the program of a step is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    Trusted,
    Verified,
    Untrusted,
}

impl Trust {
    /// What a step itself says.
    pub(super) fn of(step: &Node) -> Option<Self> {
        match step.get("trust").and_then(Node::as_text)? {
            "untrusted" => Some(Self::Untrusted),
            "verified" => Some(Self::Verified),
            "trusted" => Some(Self::Trusted),
            _ => None,
        }
    }

    /// The limits that come with it.
    pub(super) fn limits(self) -> Limits {
        match self {
            Self::Trusted => Limits::default(),
            Self::Verified => Limits {
                memory: Some(Bytes::from_mebibytes(256)),
                cpu_millis: Some(500),
                ..Limits::default()
            },
            Self::Untrusted => Limits {
                memory: Some(Bytes::from_mebibytes(64)),
                cpu_millis: Some(250),
                output: Some(Bytes::from_mebibytes(10)),
                enforcement: Enforcement::Required,
                ..Limits::default()
            },
        }
    }

    /// The wall-clock limit that comes with it.
    pub(super) fn timeout(self) -> Option<Duration> {
        match self {
            Self::Trusted => None,
            Self::Verified => Some(Duration::from_mins(1)),
            Self::Untrusted => Some(Duration::from_secs(10)),
        }
    }

    /// The sandbox that comes with it.
    pub(super) fn choice(self) -> SandboxChoice {
        match self {
            Self::Trusted | Self::Verified => SandboxChoice::default(),
            Self::Untrusted => SandboxChoice {
                profile: Some(Profile::Strict),
                enforcement: Some(Enforcement::Required),
                ..SandboxChoice::default()
            },
        }
    }
}

/// What a step or a definition chose.
pub(super) fn chosen(node: &Node) -> SandboxChoice {
    node.get("sandbox").map(read).unwrap_or_default()
}

/// What was chosen for a step, the first before the next.
pub(super) struct Choices<'a> {
    /// By itself, by what holds it, and by how far it is trusted.
    pub(super) own: SandboxChoice,
    pub(super) manifest: &'a SandboxChoice,
    /// What the definition has around it.
    pub(super) outside: SandboxChoice,
}

/// The sandbox of a step: what was chosen for it, then the manifest, then the definition.
pub(super) fn of_step(
    root: &Node,
    step: &Node,
    (choices, trust): (Choices<'_>, Trust),
    problems: &mut Problems,
) -> Sandbox {
    let Choices { own, manifest, outside } = choices;
    let sandbox = own.or(manifest.clone()).or(chosen(root)).or(outside).resolve();
    if let Some(part) = unheld(&sandbox) {
        let place = [step, root].into_iter().find_map(|node| node.member("sandbox"));
        let span = place.map_or(step.span, |member| member.key_span);
        problems
            .report(UNHELD_SANDBOX, span.range(), format!("`{part}` cannot be held under the profile `none`"))
            .hint("the profiles `standard` and `strict` can hold it");
    }
    Sandbox { no_fork: trust == Trust::Untrusted, ..sandbox }
}

/// What would be promised and not kept.
fn unheld(sandbox: &Sandbox) -> Option<&'static str> {
    match sandbox.profile {
        Profile::None if sandbox.network != Network::Host => Some("network"),
        Profile::None if sandbox.delegate => Some("delegate"),
        Profile::None | Profile::Standard | Profile::Strict => None,
    }
}

/// Reports hosts that are none; their shape was looked at before.
pub(super) fn judge(sandbox: &Node, problems: &mut Problems) {
    for entry in
        allowed(sandbox).filter(|entry| entry.as_text().is_some_and(|text| Endpoint::parse(text).is_none()))
    {
        let text = load::shortened(entry.as_text().unwrap_or_default());
        problems
            .report(BAD_ENDPOINT, entry.span.range(), format!("`{text}` is no host with a port"))
            .hint("`api.example.com:443`, `*.example.com:443` or `[::1]:8080`");
    }
}

fn allowed(sandbox: &Node) -> impl Iterator<Item = &Node> {
    let list = sandbox.get("network").and_then(|network| network.get("allow"));
    list.map_or(&[][..], Node::elements).iter()
}

/// What a manifest chose.
pub fn sandbox_of_manifest(sandbox: &Json) -> Result<SandboxChoice, String> {
    let node = load::fragment(sandbox.as_str(), &SANDBOX_CHOICE)?;
    match allowed(&node).filter_map(Node::as_text).find(|text| Endpoint::parse(text).is_none()) {
        Some(wrong) => Err(format!("sandbox.network.allow: `{wrong}` is no host with a port")),
        None => Ok(read(&node)),
    }
}

/// Reads a sandbox; what is wrong with it was reported.
fn read(node: &Node) -> SandboxChoice {
    if let Some(word) = node.as_text() {
        return SandboxChoice { profile: profile(word), ..SandboxChoice::default() };
    }
    let word = |key: &str| node.get(key).and_then(Node::as_text);
    let list = |key: &str| {
        let elements = node.get(key)?.elements().iter();
        Some(elements.filter_map(|element| element.as_text().map(str::to_owned)).collect::<Vec<_>>())
    };
    SandboxChoice {
        profile: word("profile").and_then(profile),
        network: node.get("network").and_then(|network| self::network(node, network)),
        read: list("read"),
        write: list("write"),
        env: list("env"),
        user: node.get("user").and_then(user),
        seccomp: word("seccomp").map(|word| match word {
            "allow-userns" => Seccomp::AllowUserns,
            _ => Seccomp::Default,
        }),
        delegate: node.get("delegate").and_then(Node::as_bool),
        enforcement: word("enforcement").map(|word| match word {
            "required" => Enforcement::Required,
            _ => Enforcement::BestEffort,
        }),
    }
}

fn profile(word: &str) -> Option<Profile> {
    match word {
        "none" => Some(Profile::None),
        "standard" => Some(Profile::Standard),
        "strict" => Some(Profile::Strict),
        _ => None,
    }
}

fn network(sandbox: &Node, network: &Node) -> Option<Network> {
    match network.as_text() {
        Some("none") => Some(Network::None),
        Some("loopback") => Some(Network::Loopback),
        Some("host") => Some(Network::Host),
        Some(_) => None,
        None => {
            let endpoints = allowed(sandbox).filter_map(|entry| Endpoint::parse(entry.as_text()?));
            Some(Network::Allow(endpoints.collect()))
        }
    }
}

fn user(node: &Node) -> Option<User> {
    let number = || node.as_number().and_then(|number| number.parse().ok()).map(User::Id);
    node.as_text().map(|name| User::Name(name.to_owned())).or_else(number)
}
