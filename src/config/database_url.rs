//! The address of an external PostgreSQL, with `sslmode` and `sslrootcert` as libpq means them.
//!
//! `tokio-postgres` knows neither `verify-ca` and `verify-full` nor `sslrootcert`, so these are taken out of the
//! address before it reads the rest.

use std::path::PathBuf;

use tokio_postgres::config::SslMode;
use url::form_urlencoded;

use super::ConfigError;

/// An external PostgreSQL.
#[derive(Debug, Clone)]
pub struct DatabaseAddress {
    /// Where it is, and how to sign in.
    pub config: tokio_postgres::Config,
    /// How connections are encrypted.
    pub tls: DatabaseTls,
}

/// How connections to PostgreSQL are encrypted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum DatabaseTls {
    /// Not at all: `disable`, `allow`, or no `sslmode`.
    #[default]
    Off,
    /// `prefer` where the server offers it, and `require`: encrypted, by whoever answers.
    Unverified,
    /// `verify-ca`, and `require` with a root certificate: the server's certificate is one of these authorities'.
    VerifyAuthority(RootCertificates),
    /// `verify-full`: and it names the host.
    VerifyFull(RootCertificates),
}

/// The authorities that are trusted to certify a PostgreSQL server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootCertificates {
    /// Those of this machine.
    System,
    /// Those of a PEM file.
    File(PathBuf),
}

impl DatabaseAddress {
    /// Reads the address that is the value of `setting`.
    pub(crate) fn parse(setting: &'static str, text: &str) -> Result<Self, ConfigError> {
        let invalid = |problem: &str| ConfigError::invalid(setting, problem);
        let (rest, options) = if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            split_url(text)
        } else {
            split_pairs(text).ok_or_else(|| invalid("is neither a postgres:// URL nor key=value pairs"))?
        };
        let mut config: tokio_postgres::Config =
            rest.parse().map_err(|_| invalid("is neither a postgres:// URL nor key=value pairs"))?;
        if config.get_hosts().is_empty() {
            return Err(invalid("names no host"));
        }
        let given_roots = options.root_certificates.map(|file| match file.as_str() {
            "system" => RootCertificates::System,
            _ => RootCertificates::File(file.into()),
        });
        let roots = given_roots.clone().unwrap_or(RootCertificates::System);
        let (mode, tls) = match options.mode.as_deref() {
            None | Some("disable" | "allow") => (SslMode::Disable, DatabaseTls::Off),
            Some("prefer") => (SslMode::Prefer, DatabaseTls::Unverified),
            // libpq's rule for files that existed before `verify-ca`; its own authorities it only trusts in full.
            Some("require") => match given_roots {
                None => (SslMode::Require, DatabaseTls::Unverified),
                Some(RootCertificates::System) => (SslMode::Require, DatabaseTls::VerifyFull(roots)),
                Some(RootCertificates::File(_)) => (SslMode::Require, DatabaseTls::VerifyAuthority(roots)),
            },
            Some("verify-ca") => (SslMode::Require, DatabaseTls::VerifyAuthority(roots)),
            Some("verify-full") => (SslMode::Require, DatabaseTls::VerifyFull(roots)),
            Some(_) => {
                return Err(invalid(
                    "has an sslmode other than disable, allow, prefer, require, verify-ca and verify-full",
                ));
            }
        };
        config.ssl_mode(mode);
        Ok(Self { config, tls })
    }
}

#[derive(Default)]
struct TlsOptions {
    mode: Option<String>,
    root_certificates: Option<String>,
}

impl TlsOptions {
    /// Takes an option of TLS. Returns false for any other.
    fn take(&mut self, name: &str, value: &str) -> bool {
        match name {
            "sslmode" => self.mode = Some(value.to_owned()),
            "sslrootcert" => self.root_certificates = Some(value.to_owned()).filter(|file| !file.is_empty()),
            _ => return false,
        }
        true
    }
}

/// Splits a URL into what isn't about TLS and what is.
fn split_url(url: &str) -> (String, TlsOptions) {
    let Some((address, query)) = url.split_once('?') else { return (url.to_owned(), TlsOptions::default()) };
    let mut options = TlsOptions::default();
    let others = query.split('&').filter(|pair| {
        let Some((name, value)) = form_urlencoded::parse(pair.as_bytes()).next() else { return false };
        !options.take(&name, &value)
    });
    let others: Vec<&str> = others.collect();
    let rest = if others.is_empty() { address.to_owned() } else { format!("{address}?{}", others.join("&")) };
    (rest, options)
}

/// Splits `key=value` pairs, whose values may be quoted, into those that aren't about TLS and those that are. `None`
/// if they can't be read.
fn split_pairs(text: &str) -> Option<(String, TlsOptions)> {
    let mut options = TlsOptions::default();
    let mut others = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let (value, end) = read_value(after.trim_start())?;
        let name = name.trim_end();
        if !options.take(name, &value) {
            let quoted = value.replace('\\', "\\\\").replace('\'', "\\'");
            others.push(format!("{name}='{quoted}'"));
        }
        rest = end.trim_start();
    }
    Some((others.join(" "), options))
}

/// Reads a value, in quotes or up to a space. A backslash escapes the next character.
fn read_value(text: &str) -> Option<(String, &str)> {
    let is_quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut chars = text.char_indices().skip(usize::from(is_quoted));
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.push(chars.next()?.1),
            '\'' if is_quoted => return Some((value, &text[at + 1..])),
            c if c.is_whitespace() && !is_quoted => return Some((value, &text[at..])),
            c => value.push(c),
        }
    }
    (!is_quoted).then_some((value, ""))
}

#[cfg(test)]
mod tests {
    use tokio_postgres::config::SslMode;

    use super::{DatabaseAddress, DatabaseTls, RootCertificates};

    fn parse_address(text: &str) -> Result<DatabaseAddress, crate::config::ConfigError> {
        DatabaseAddress::parse("DATABASE_URL", text)
    }

    fn parse(text: &str) -> Option<(SslMode, DatabaseTls)> {
        let address = parse_address(text).ok()?;
        Some((address.config.get_ssl_mode(), address.tls))
    }

    #[test]
    fn modes_mean_what_they_mean_to_libpq() {
        let file = || RootCertificates::File("/etc/ca.pem".into());
        for (options, mode, tls) in [
            ("", SslMode::Disable, DatabaseTls::Off),
            ("sslmode=disable", SslMode::Disable, DatabaseTls::Off),
            ("sslmode=prefer", SslMode::Prefer, DatabaseTls::Unverified),
            ("sslmode=require", SslMode::Require, DatabaseTls::Unverified),
            (
                "sslmode=require&sslrootcert=/etc/ca.pem",
                SslMode::Require,
                DatabaseTls::VerifyAuthority(file()),
            ),
            (
                "sslmode=verify-ca&sslrootcert=%2Fetc%2Fca.pem",
                SslMode::Require,
                DatabaseTls::VerifyAuthority(file()),
            ),
            (
                "sslrootcert=/etc/ca.pem&sslmode=verify-full",
                SslMode::Require,
                DatabaseTls::VerifyFull(file()),
            ),
            ("sslmode=verify-full", SslMode::Require, DatabaseTls::VerifyFull(RootCertificates::System)),
            (
                "sslmode=require&sslrootcert=system",
                SslMode::Require,
                DatabaseTls::VerifyFull(RootCertificates::System),
            ),
        ] {
            let expected = Some((mode, tls));
            let url = format!("postgres://chat:p%40ss@db.example:5433/chat?connect_timeout=3&{options}");
            assert_eq!(parse(&url), expected, "{url}");
            let pairs = options.replace('&', " ").replace("%2F", "/");
            let pairs = format!("host=db.example password='a b\\'c' {pairs} dbname=chat");
            assert_eq!(parse(&pairs), expected, "{pairs}");
        }
    }

    #[test]
    fn everything_else_is_kept() {
        let url = parse_address("postgresql://a:b@h:1/d?sslmode=require&application_name=x%26y").unwrap();
        assert_eq!((url.config.get_application_name(), url.config.get_dbname()), (Some("x&y"), Some("d")));
        let pairs = parse_address("host = h password = 'it''s' ");
        assert!(pairs.is_err(), "libpq has no doubled quotes");
        let pairs = parse_address("host=h password='it\\'s \\\\ x' sslmode = require").unwrap();
        assert_eq!(pairs.config.get_password(), Some(&b"it's \\ x"[..]));
    }

    #[test]
    fn mistakes_are_told_without_secrets() {
        for text in
            ["postgres://h/d?sslmode=maybe", "host=h sslmode", "host=h sslmode='x", "postgres:///d", "x"]
        {
            let error = parse_address(text).unwrap_err().to_string();
            assert!(error.starts_with("DATABASE_URL"), "{error}");
        }
        let error = parse_address("host=h password=secret sslmode=x").unwrap_err().to_string();
        assert!(!error.contains("secret") && error.contains("verify-full"), "{error}");
    }
}
