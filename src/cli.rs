//! The command line.
//!
//! Only parses, except for `token`, which needs nothing but the settings. `main` passes the other commands to
//! `app`.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use secrecy::SecretString;

use crate::{
    auth::{RoomGrant, TokenIssuer, signing_key, token_issuer::AccessTokenClaims},
    config::{AuthConfig, Config},
    moving::MarksSource,
    store::postgres::record::audit_verification::NotedEntry,
};

/// A chat server for teams that look after properties
#[derive(Debug, Parser)]
#[command(name = "aristay-chat", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    serve: ServeArgs,
}

/// The command to run.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve clients (what is done when no command is given)
    Serve(Box<ServeArgs>),
    /// Migrate the database to the schema that this version needs, and exit
    Migrate(Box<ConfigArgs>),
    /// Print an access token for trying things out
    Token(Box<TokenArgs>),
    /// Insert demo users and rooms into the database, and exit
    Seed(Box<ConfigArgs>),
    /// Start a new history, so that clients reload their rooms, and exit. Needed after a database was
    /// restored in a way that the server can't detect, such as from a snapshot of its disk. Stop all nodes
    /// first
    RenewEpoch(Box<ConfigArgs>),
    /// List the consumers of the log, such as the search index, or change one of them, and exit
    Consumers(Box<ConsumersArgs>),
    /// Verify that no entry of the audit log was changed, removed or moved, and exit: with 1 if one was
    VerifyAudit(Box<VerifyAuditArgs>),
    /// Move a Django chat into the database, and exit. Goes on where an earlier one ended, and takes what is new or
    /// changed since. Stop all nodes first
    ImportDjango(Box<ImportDjangoArgs>),
    /// Write the chat into the tables and the media folder of a Django chat, and exit
    ExportDjango(Box<ExportDjangoArgs>),
    /// Compare a Django chat with this one, and exit: with 1 if they differ
    VerifyDjango(Box<VerifyDjangoArgs>),
    /// Print the OpenAPI document of the REST API
    Openapi(OpenapiArgs),
}

/// Arguments of `serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Insert demo users and rooms first, and print how to sign in; only with a private PostgreSQL
    #[arg(long)]
    pub demo: bool,

    /// The settings.
    #[command(flatten)]
    pub config: Config,
}

/// Arguments of a command that needs only the settings.
#[derive(Debug, Clone, Args)]
pub struct ConfigArgs {
    /// The settings.
    #[command(flatten)]
    pub config: Config,
}

/// What to do with consumers of the log.
#[derive(Debug, Clone, Args)]
pub struct ConsumersArgs {
    /// The action.
    #[command(subcommand)]
    pub action: ConsumersAction,

    /// The settings.
    #[command(flatten)]
    pub config: Config,
}

/// An action on consumers of the log.
#[derive(Debug, Clone, Subcommand)]
pub enum ConsumersAction {
    /// Print the consumers: their names, how far they are behind, and why one has stopped
    List,
    /// Let a consumer that has stopped at an event go on after it
    Skip {
        /// Name of the consumer
        name: String,
    },
    /// Have a consumer read the whole log again and renew what it keeps
    Rebuild {
        /// Name of the consumer
        name: String,
    },
    /// Consume what is left without the pauses that nodes make for what users send, and exit
    CatchUp {
        /// Name of the consumer
        name: String,
    },
}

/// Arguments of `verify-audit`.
#[derive(Debug, Clone, Args)]
pub struct VerifyAuditArgs {
    /// Entry that must be in the log, as an earlier run has printed the last one
    #[arg(long, value_name = "NUMBER:HASH", value_parser = NotedEntry::parse)]
    pub noted: Option<NotedEntry>,

    /// The settings.
    #[command(flatten)]
    pub config: Config,
}

/// Arguments of `token`.
#[derive(Debug, Clone, Args)]
pub struct TokenArgs {
    /// User id
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(i64).range(1..), required_unless_present = "service")]
    pub user: Option<i64>,

    /// Issue a token of the host application
    #[arg(long)]
    pub service: bool,

    /// Grant the room of a task or a property: task:<id> or property:<id>
    #[arg(long, value_name = "GRANT")]
    pub grant: Option<RoomGrant>,

    /// Sign-in name to put into the token
    #[arg(long, value_name = "NAME")]
    pub username: Option<String>,

    /// Display name to put into the token
    #[arg(long, value_name = "NAME")]
    pub full_name: Option<String>,

    /// Mail address to put into the token
    #[arg(long, value_name = "ADDRESS")]
    pub email: Option<String>,

    /// Lifetime in seconds; unset: ACCESS_TOKEN_SECONDS
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(i64).range(1..=3_153_600_000))]
    pub ttl: Option<i64>,

    /// Folder in which a server without JWT_SECRET keeps its signing key
    #[arg(long, env = "DATA_DIR", value_name = "DATA_DIR", default_value = "./data")]
    pub data_dir: PathBuf,

    /// The signing keys.
    #[command(flatten)]
    pub auth: AuthConfig,
}

/// Where the Django chat is.
#[derive(Debug, Clone, Args)]
pub struct DjangoArgs {
    /// Database of the Django application, as a URL or key=value pairs
    #[arg(value_name = "DSN", env = "DJANGO_DATABASE_URL", hide_env_values = true)]
    pub django: SecretString,

    /// File to write the report to; unset: standard output
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

/// Arguments of `import-django`.
#[derive(Debug, Clone, Args)]
pub struct ImportDjangoArgs {
    /// The Django chat.
    #[command(flatten)]
    pub django: DjangoArgs,

    /// MEDIA_ROOT of the Django application, or the URL under which it is served
    #[arg(long, value_name = "DIR|URL")]
    pub media: String,

    /// Report what would be done, and write nothing
    #[arg(long)]
    pub dry_run: bool,

    /// What read marks are taken from
    #[arg(long, value_enum, default_value_t = MarksSource::LastRead)]
    pub marks: MarksSource,

    /// The settings.
    #[command(flatten)]
    pub config: Config,
}

/// Arguments of `export-django`.
#[derive(Debug, Clone, Args)]
pub struct ExportDjangoArgs {
    /// The Django chat.
    #[command(flatten)]
    pub django: DjangoArgs,

    /// MEDIA_ROOT of the Django application
    #[arg(long, value_name = "DIR")]
    pub media: PathBuf,

    /// The settings.
    #[command(flatten)]
    pub config: Config,
}

/// Arguments of `verify-django`.
#[derive(Debug, Clone, Args)]
pub struct VerifyDjangoArgs {
    /// The Django chat.
    #[command(flatten)]
    pub django: DjangoArgs,

    /// What read marks were taken from
    #[arg(long, value_enum, default_value_t = MarksSource::LastRead)]
    pub marks: MarksSource,

    /// The settings.
    #[command(flatten)]
    pub config: Config,
}

/// Arguments of `openapi`.
#[derive(Debug, Clone, Args)]
pub struct OpenapiArgs {
    /// File to write to instead of standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Parses the command line and the environment. Prints what is wrong with them and exits with 2.
#[must_use]
pub fn parse() -> Command {
    Cli::parse().into()
}

impl From<Cli> for Command {
    fn from(cli: Cli) -> Self {
        cli.command.unwrap_or_else(|| Self::Serve(Box::new(cli.serve)))
    }
}

/// Issues the token that `args` describe.
///
/// # Errors
/// An invalid setting, or no key to sign with.
pub fn token(args: TokenArgs) -> anyhow::Result<String> {
    let settings = args.auth.validate(false)?;
    let secret = signing_key::load(&settings, &args.data_dir)?
        .context("JWT_SECRET: must be set to sign tokens; JWT_PUBLIC_KEYS and JWKS_URL only verify them")?;
    let token_issuer = TokenIssuer::new(&settings, &secret);
    let request = AccessTokenClaims {
        user_id: args.user,
        is_service: args.service,
        grant: args.grant,
        username: args.username,
        full_name: args.full_name,
        email: args.email,
        family: None,
    };
    Ok(token_issuer.access_token_for(&request, args.ttl.unwrap_or(settings.access_token_seconds)))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{Cli, Command, MarksSource, token};
    use crate::{
        auth::TokenVerifier,
        config::{Database, Settings},
    };

    const SECRET: &str = "a-key-that-is-only-for-the-tests-of-this-crate";

    fn command(flags: &[&str]) -> Command {
        Cli::try_parse_from([&["aristay-chat"], flags].concat()).expect("a command").into()
    }

    fn minted(flags: &[&str]) -> anyhow::Result<String> {
        match command(&[&["token"], flags].concat()) {
            Command::Token(args) => token(*args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn serve_is_the_default_command() {
        for flags in [&["--bind", "0.0.0.0:9000"][..], &["serve", "--bind", "0.0.0.0:9000"]] {
            let Command::Serve(args) = command(flags) else { panic!("{flags:?}") };
            let settings: Settings = args.config.validate().expect("settings");
            assert_eq!(settings.bind.port(), 9000);
            assert!(matches!(settings.database, Database::Private) && !args.demo);
        }
        assert!(matches!(command(&["serve", "--demo"]), Command::Serve(args) if args.demo));
        assert!(matches!(command(&["migrate"]), Command::Migrate(_)));
        assert!(matches!(command(&["seed"]), Command::Seed(_)));
        assert!(matches!(command(&["renew-epoch"]), Command::RenewEpoch(_)));
        assert!(matches!(command(&["consumers", "list"]), Command::Consumers(_)));
        let noted = format!("7:{}", "0".repeat(64));
        assert!(
            matches!(command(&["verify-audit", "--noted", &noted]), Command::VerifyAudit(args) if args.noted.is_some())
        );
        assert!(matches!(command(&["openapi"]), Command::Openapi(args) if args.out.is_none()));
        let import = command(&["import-django", "postgres://host/old", "--media", "/srv/media", "--dry-run"]);
        assert!(
            matches!(import, Command::ImportDjango(args) if args.dry_run && args.marks == MarksSource::LastRead)
        );
        let verify = command(&["verify-django", "postgres://host/old", "--marks", "furthest"]);
        assert!(matches!(verify, Command::VerifyDjango(args) if args.marks == MarksSource::Furthest));
    }

    #[test]
    fn an_invalid_command_line_exits_with_2() {
        for flags in [
            &["dance"][..],
            &["--colour", "red"],
            &["token"],
            &["verify-audit", "--noted", "7"],
            &["token", "--user", "0"],
            &["token", "--user", "1", "--grant", "room:1"],
        ] {
            let error = Cli::try_parse_from([&["aristay-chat"], flags].concat()).expect_err("a refusal");
            assert_eq!(error.exit_code(), 2, "{flags:?}");
        }
    }

    #[tokio::test]
    async fn a_token_has_the_requested_claims() {
        let flags = [
            "--user",
            "42",
            "--grant",
            "property:9",
            "--username",
            "ana",
            "--ttl",
            "60",
            "--jwt-secret",
            SECRET,
        ];
        let token = minted(&flags).expect("a token");
        let Command::Token(args) = command(&[&["token"], &flags[..]].concat()) else { panic!("token") };
        let settings = args.auth.validate(false).expect("settings");
        let claims =
            TokenVerifier::new(&settings, settings.secret.as_ref()).verify(&token).await.expect("good");
        assert_eq!((claims.user_id, claims.is_service, claims.exp - claims.iat), (Some(42), false, 60));
        assert_eq!(claims.grant.map(|grant| grant.to_string()).as_deref(), Some("property:9"));
        assert_eq!(claims.username.as_deref(), Some("ana"));
    }

    #[test]
    fn tokens_are_signed_with_the_kept_key_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let data_dir = folder.path().to_str().expect("a path");
        assert!(minted(&["--service", "--data-dir", data_dir]).is_ok());
        assert!(folder.path().join("jwt-secret").exists());
        let refused = minted(&["--service", "--jwks-url", "https://id.example/keys"]).expect_err("no key");
        assert!(refused.to_string().contains("JWT_SECRET"), "{refused}");
        let refused = minted(&["--service", "--jwt-secret", "short"]).expect_err("a short key");
        assert!(refused.to_string().contains("JWT_SECRET"), "{refused}");
    }
}
