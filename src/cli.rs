//! The command line: what the program is asked to do.
//!
//! Parses and nothing else, but for `token`, which needs no more than the settings. `main` hands the
//! other commands to `app`.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};

use crate::{
    auth::{Grant, TokenMint, kept_secret, mint::AccessRequest},
    config::{AuthConfig, Config},
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

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve clients (what is done when no command is given)
    Serve(Box<ServeArgs>),
    /// Bring the database to the form that this version needs, and end
    Migrate(Box<ConfigArgs>),
    /// Print an access token for trying things out
    Token(Box<TokenArgs>),
    /// Put demo people and rooms into the database, and end
    Seed(Box<ConfigArgs>),
    /// Begin a new history, so that clients load their rooms anew, and end; for a database that was restored
    /// in a way that the server can't see, such as a snapshot of its disk. Stop the nodes first
    RenewEpoch(Box<ConfigArgs>),
    /// Print the OpenAPI document of the REST calls
    Openapi(OpenapiArgs),
}

/// How to serve.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Put demo people and rooms in first, and print how to sign in; only with a private PostgreSQL
    #[arg(long)]
    pub demo: bool,

    /// The settings.
    #[command(flatten)]
    pub config: Config,
}

/// The settings alone.
#[derive(Debug, Clone, Args)]
pub struct ConfigArgs {
    /// The settings.
    #[command(flatten)]
    pub config: Config,
}

/// What the token is to say.
#[derive(Debug, Clone, Args)]
pub struct TokenArgs {
    /// Id of the person
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(i64).range(1..), required_unless_present = "service")]
    pub user: Option<i64>,

    /// Make it a token of the host application
    #[arg(long)]
    pub service: bool,

    /// Grant the room of a task or a property: task:<id> or property:<id>
    #[arg(long, value_name = "GRANT")]
    pub grant: Option<Grant>,

    /// Name for signing in, put into the token
    #[arg(long, value_name = "NAME")]
    pub username: Option<String>,

    /// Name for showing, put into the token
    #[arg(long, value_name = "NAME")]
    pub full_name: Option<String>,

    /// Mail address, put into the token
    #[arg(long, value_name = "ADDRESS")]
    pub email: Option<String>,

    /// Seconds that it is good for; unset: as ACCESS_TOKEN_SECONDS
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(i64).range(1..=3_153_600_000))]
    pub ttl: Option<i64>,

    /// Folder in which a server without JWT_SECRET keeps its key
    #[arg(long, env = "DATA_DIR", value_name = "DATA_DIR", default_value = "./data")]
    pub data_dir: PathBuf,

    /// The keys.
    #[command(flatten)]
    pub auth: AuthConfig,
}

/// Where the document goes.
#[derive(Debug, Clone, Args)]
pub struct OpenapiArgs {
    /// File to write instead of the output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Reads the command line and the environment; tells what is wrong with them and ends with 2.
#[must_use]
pub fn parse() -> Command {
    Cli::parse().into()
}

impl From<Cli> for Command {
    fn from(cli: Cli) -> Self {
        cli.command.unwrap_or_else(|| Self::Serve(Box::new(cli.serve)))
    }
}

/// Makes the token that `args` describe.
///
/// # Errors
/// A setting that can't be used, or no key to sign with.
pub fn token(args: TokenArgs) -> anyhow::Result<String> {
    let settings = args.auth.validate(false)?;
    let secret = kept_secret::signing_secret(&settings, &args.data_dir)?
        .context("JWT_SECRET: must be set to sign tokens; JWT_PUBLIC_KEYS and JWKS_URL only verify them")?;
    let mint = TokenMint::new(&settings, &secret);
    let request = AccessRequest {
        user_id: args.user,
        is_service: args.service,
        grant: args.grant,
        username: args.username,
        full_name: args.full_name,
        email: args.email,
    };
    Ok(mint.access_for(&request, args.ttl.unwrap_or(settings.access_token_seconds)))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{Cli, Command, token};
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
    fn serving_is_what_is_done_when_no_command_is_given() {
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
        assert!(matches!(command(&["openapi"]), Command::Openapi(args) if args.out.is_none()));
    }

    #[test]
    fn a_wrong_command_line_ends_with_2() {
        for flags in [
            &["dance"][..],
            &["--colour", "red"],
            &["token"],
            &["token", "--user", "0"],
            &["token", "--user", "1", "--grant", "room:1"],
        ] {
            let error = Cli::try_parse_from([&["aristay-chat"], flags].concat()).expect_err("a refusal");
            assert_eq!(error.exit_code(), 2, "{flags:?}");
        }
    }

    #[tokio::test]
    async fn a_token_says_what_was_asked() {
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
    fn a_token_is_signed_by_the_kept_key_and_by_no_foreign_one() {
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
