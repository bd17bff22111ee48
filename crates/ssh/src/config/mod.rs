//! What ssh's configuration says about one host, as values that cannot be wrong.
//!
//! The text comes from `ssh -G` ([`openssh`]) or, without an ssh on this machine, from our own reader ([`own`]); both
//! give the same keyword and value pairs, and [`Settings`] is made of those. Nothing here connects to anything.

mod algorithms;
mod openssh;
mod own;
#[cfg(test)]
mod tests;
mod tokens;

use std::path::PathBuf;
use std::time::Duration;

pub(crate) use algorithms::{Algorithms, NoneInCommon};
pub(crate) use openssh::arguments;
use tokens::Tokens;

use crate::destination::Destination;
use crate::error::{ConnectError, ConnectErrorKind};
use crate::options::{Family, Options};

/// Keywords in lower case with their values, in the order read.
pub(crate) type Pairs = Vec<(String, String)>;

/// How long connecting may take where nothing says otherwise: below this a lost SYN or two is still waited for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// A silent server is asked whether it is there after this long, where the configuration does not say; OpenSSH never
/// asks, which leaves a transfer hanging behind a dead path.
const ALIVE_INTERVAL: Duration = Duration::from_secs(15);
const ALIVE_COUNT: usize = 4;

/// What to do with a host key that known_hosts does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StrictHostKeyChecking {
    /// Refuse.
    Yes,
    /// Ask.
    Ask,
    /// Take and remember new ones.
    AcceptNew,
    /// Take new ones, and let changed ones through without a password.
    No,
}

/// How the stream to the host comes about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Proxy {
    Direct,
    /// The hosts as written, comma-separated, the first one first.
    Jump(String),
    /// A shell command, tokens not yet replaced.
    Command(String),
}

/// A way to log in, of those that this program knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    PublicKey,
    KeyboardInteractive,
    Password,
}

/// Everything that the configuration says about one host.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// As typed, before HostName.
    pub alias: String,
    pub hostname: String,
    pub user: String,
    pub port: u16,
    pub family: Family,
    pub bind_address: Option<String>,
    pub connect_timeout: Duration,
    pub tcp_keepalive: bool,
    pub proxy: Proxy,

    pub user_known_hosts: Vec<PathBuf>,
    pub global_known_hosts: Vec<PathBuf>,
    pub revoked_host_keys: Option<PathBuf>,
    pub host_key_alias: Option<String>,
    pub strict: StrictHostKeyChecking,
    pub hash_known_hosts: bool,

    pub identity_files: Vec<PathBuf>,
    pub certificate_files: Vec<PathBuf>,
    /// The agent's socket, where there is one.
    pub agent: Option<PathBuf>,
    pub identities_only: bool,
    pub methods: Vec<Method>,
    pub password_prompts: u32,
    pub batch: bool,

    pub algorithms: Algorithms,
    pub alive_interval: Duration,
    pub alive_count: usize,
    /// Bytes between key exchanges; none: what the cipher allows.
    pub rekey_bytes: Option<u64>,
    pub rekey_after: Option<Duration>,
    /// What the person should know: keywords that have no effect here.
    pub notes: Vec<String>,
}

/// Reads the configuration for `dest`.
pub(crate) async fn settings(dest: &Destination, options: &Options) -> Result<Settings, ConnectError> {
    let config = |text: String| ConnectError::new(ConnectErrorKind::Config, dest, text);
    dest.check()
        .map_err(|error| config("it cannot be used as a host".into()).because(error))?;
    let (pairs, defaults, mut notes) = match openssh::read(dest, options).await.map_err(config)? {
        Some(read) => (read.pairs, read.defaults, Vec::new()),
        None => {
            let read = own::read(dest, options).map_err(config)?;
            (read.pairs, Vec::new(), read.notes)
        }
    };
    let lookup = Lookup { pairs, defaults };
    let settings = lookup
        .settings(dest, options, &mut notes)
        .map_err(|error| match error {
            Unusable::Value(text) => config(text),
            Unusable::Algorithms(none) => ConnectError::new(ConnectErrorKind::NoAlgorithm, dest, none.to_string()),
        })?;
    Ok(Settings { notes, ..settings })
}

enum Unusable {
    Value(String),
    Algorithms(NoneInCommon),
}

/// The pairs, and those that stand there with no configuration at all.
struct Lookup {
    pairs: Pairs,
    defaults: Pairs,
}

impl Lookup {
    fn get(&self, key: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, value)| value.as_str())
    }

    /// The value, unless it is absent or `none`.
    fn some(&self, key: &str) -> Option<&str> {
        self.get(key)
            .filter(|value| !value.is_empty() && !value.eq_ignore_ascii_case("none"))
    }

    /// The value, unless it is ssh's own default.
    fn explicit(&self, key: &str) -> Option<&str> {
        let default = self
            .defaults
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, value)| value.as_str());
        self.get(key).filter(|value| Some(*value) != default)
    }

    fn all(&self, key: &str) -> Vec<&str> {
        self.pairs
            .iter()
            .filter(|(k, _)| k == key)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    fn flag(&self, key: &str, default: bool) -> bool {
        match self.get(key) {
            Some("yes" | "true") => true,
            Some("no" | "false") => false,
            _ => default,
        }
    }

    fn number<T: std::str::FromStr>(&self, key: &str, default: T) -> Result<T, Unusable> {
        self.some(key).map_or(Ok(default), |value| {
            value
                .parse()
                .map_err(|_| Unusable::Value(format!("{key} `{value}` is not a number in range")))
        })
    }

    fn seconds(&self, key: &str) -> Result<Option<Duration>, Unusable> {
        let Some(value) = self.some(key) else { return Ok(None) };
        own::seconds(value)
            .map(|seconds| (seconds > 0).then(|| Duration::from_secs(seconds)))
            .ok_or_else(|| Unusable::Value(format!("{key} `{value}` is not a time")))
    }

    fn settings(&self, dest: &Destination, options: &Options, notes: &mut Vec<String>) -> Result<Settings, Unusable> {
        let hostname = self.some("hostname").unwrap_or(&dest.host).replace("%h", &dest.host);
        let local_user = std::env::var("USER")
            .or_else(|_| std::env::var("LOGNAME"))
            .unwrap_or_default();
        let user = self.some("user").map_or_else(|| local_user.clone(), str::to_owned);
        if user.is_empty() {
            return Err(Unusable::Value("no login name is known; write user@host".into()));
        }
        let port = self.number("port", 22_u16)?;
        let tokens = Tokens {
            alias: &dest.host,
            hostname: &hostname,
            port,
            user: &user,
            local_user: &local_user,
            host_key_alias: self.some("hostkeyalias"),
        };
        let paths = |values: &[&str]| -> Vec<PathBuf> {
            let named = |value: &&str| !value.eq_ignore_ascii_case("none");
            values
                .iter()
                .copied()
                .filter(|value| named(value))
                .map(|value| tokens.path(value))
                .collect()
        };
        let list = |key: &str, default: &[&str]| -> Vec<PathBuf> {
            match self.get(key) {
                Some(value) => paths(&own::words(value).iter().map(String::as_str).collect::<Vec<_>>()),
                None => paths(default),
            }
        };
        let mut identity_files = self.all("identityfile");
        if identity_files.is_empty() {
            identity_files = own::DEFAULT_IDENTITIES.to_vec();
        }
        if self.flag("proxyusefdpass", false) && options.ssh_command.is_none() {
            let text = "ProxyUseFdpass needs the system's ssh: use --ssh-command ssh";
            return Err(Unusable::Value(text.into()));
        }
        for keyword in ["knownhostscommand", "pkcs11provider", "bindinterface"] {
            if self.some(keyword).is_some() && options.ssh_command.is_none() {
                notes.push(format!("{keyword} has no effect here; --ssh-command ssh would use it"));
            }
        }
        let rekey = self.some("rekeylimit").unwrap_or_default();
        let mut rekey = rekey.split_whitespace();
        Ok(Settings {
            alias: dest.host.clone(),
            family: match (options.family, self.get("addressfamily")) {
                (Family::Any, Some("inet")) => Family::V4,
                (Family::Any, Some("inet6")) => Family::V6,
                (family, _) => family,
            },
            bind_address: self.some("bindaddress").map(str::to_owned),
            connect_timeout: match (options.connect_timeout, self.seconds("connecttimeout")?) {
                (Duration::ZERO, said) => said.unwrap_or(CONNECT_TIMEOUT),
                (given, _) => given,
            },
            tcp_keepalive: self.flag("tcpkeepalive", true),
            proxy: match (self.some("proxyjump"), self.some("proxycommand")) {
                (Some(jump), _) => Proxy::Jump(jump.to_owned()),
                (None, Some(command)) => Proxy::Command(command.to_owned()),
                (None, None) => Proxy::Direct,
            },
            user_known_hosts: list("userknownhostsfile", &["~/.ssh/known_hosts", "~/.ssh/known_hosts2"]),
            global_known_hosts: list(
                "globalknownhostsfile",
                &["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"],
            ),
            revoked_host_keys: self
                .some("revokedhostkeys")
                .filter(|_| options.ssh_command.is_none())
                .map(|value| tokens.path(value)),
            host_key_alias: self.some("hostkeyalias").map(str::to_owned),
            strict: match self.get("stricthostkeychecking") {
                Some("yes" | "true") => StrictHostKeyChecking::Yes,
                Some("no" | "false" | "off") => StrictHostKeyChecking::No,
                Some("accept-new") => StrictHostKeyChecking::AcceptNew,
                _ => StrictHostKeyChecking::Ask,
            },
            hash_known_hosts: self.flag("hashknownhosts", false),
            identity_files: paths(&identity_files),
            certificate_files: paths(&self.all("certificatefile")),
            agent: agent(self.get("identityagent"), &tokens),
            identities_only: self.flag("identitiesonly", false),
            methods: self.methods(),
            password_prompts: self.number("numberofpasswordprompts", 3)?,
            batch: self.flag("batchmode", false),
            algorithms: self.algorithms(options).map_err(Unusable::Algorithms)?,
            alive_interval: self.seconds("serveraliveinterval")?.unwrap_or(ALIVE_INTERVAL),
            alive_count: match self.seconds("serveraliveinterval")? {
                Some(_) => self.number("serveralivecountmax", 3)?,
                None => ALIVE_COUNT,
            },
            rekey_bytes: rekey.next().and_then(own::bytes).filter(|bytes| *bytes > 0),
            rekey_after: rekey
                .next()
                .and_then(own::seconds)
                .filter(|s| *s > 0)
                .map(Duration::from_secs),
            notes: Vec::new(),
            hostname: hostname.clone(),
            user: user.clone(),
            port,
        })
    }

    /// The ways to log in that are allowed, in the preferred order.
    fn methods(&self) -> Vec<Method> {
        let order = self
            .some("preferredauthentications")
            .unwrap_or("publickey,keyboard-interactive,password");
        let mut methods = Vec::new();
        for name in order.split(',') {
            let (method, allowed) = match name.trim() {
                "publickey" => (Method::PublicKey, self.flag("pubkeyauthentication", true)),
                "keyboard-interactive" => (
                    Method::KeyboardInteractive,
                    self.flag("kbdinteractiveauthentication", true),
                ),
                "password" => (Method::Password, self.flag("passwordauthentication", true)),
                _ => continue,
            };
            if allowed && !methods.contains(&method) {
                methods.push(method);
            }
        }
        methods
    }

    fn algorithms(&self, options: &Options) -> Result<Algorithms, NoneInCommon> {
        let compress = match options.compression.as_deref() {
            Some(choice) => choice != "no" && choice != "none",
            None => self.flag("compression", false),
        };
        // The system's ssh, used in place of ours, reads the lists itself and may have what is not built in here.
        let explicit = |key| self.explicit(key).filter(|_| options.ssh_command.is_none());
        Algorithms::choose(&algorithms::Lists {
            ciphers: explicit("ciphers"),
            macs: explicit("macs"),
            kex: explicit("kexalgorithms"),
            host_keys: explicit("hostkeyalgorithms"),
            user_keys: explicit("pubkeyacceptedalgorithms"),
            compress,
        })
    }
}

/// IdentityAgent: `none`, `SSH_AUTH_SOCK`, `$NAME`, or a path; without it the environment's SSH_AUTH_SOCK.
fn agent(said: Option<&str>, tokens: &Tokens<'_>) -> Option<PathBuf> {
    let from = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    match said {
        Some("none") => None,
        None | Some("SSH_AUTH_SOCK") => from("SSH_AUTH_SOCK"),
        Some(value) => match value.strip_prefix('$') {
            Some(name) if !name.starts_with('{') => from(name),
            _ => Some(tokens.path(value)),
        },
    }
}

impl Settings {
    /// ProxyCommand with its tokens replaced.
    pub(crate) fn proxy_command(&self, command: &str) -> String {
        Tokens {
            alias: &self.alias,
            hostname: &self.hostname,
            port: self.port,
            user: &self.user,
            local_user: "",
            host_key_alias: self.host_key_alias.as_deref(),
        }
        .replace(command)
    }

    /// `user@host:port` for messages.
    pub(crate) fn shown(&self) -> String {
        Destination {
            user: Some(self.user.clone()),
            host: self.hostname.clone(),
            port: (self.port != 22).then_some(self.port),
        }
        .to_string()
    }
}
