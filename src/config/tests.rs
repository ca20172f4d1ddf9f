use clap::Parser;

use super::{Config, ConfigError, Database, MetricsBind, Settings, SubjectRooms};

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    config: Config,
}

const SECRET: &str = "a-key-that-is-only-for-the-tests-of-this-crate";

fn settings(flags: &[&str]) -> Result<Settings, ConfigError> {
    Flags::try_parse_from([&["chat"], flags].concat()).expect("flags that parse").config.validate()
}

fn refusal(flags: &[&str]) -> String {
    settings(flags).expect_err("a refusal").to_string()
}

#[test]
fn the_defaults_are_a_private_database_and_a_generated_key() {
    let settings = settings(&[]).expect("defaults that fit");
    assert!(matches!(settings.database, Database::Private));
    assert!(settings.auth.generates_signing_key && settings.auth.builtin_accounts);
    assert_eq!(settings.bind.to_string(), "127.0.0.1:8000");
    assert_eq!(
        settings.rates.messages.map(|rate| (rate.per_second.get(), rate.burst.get())),
        Some((10, 100))
    );
    assert_eq!(settings.limits.max_upload_bytes, 26_214_400);
    assert!(settings.node_id.ends_with("-8000"), "{}", settings.node_id);
}

#[test]
fn an_external_database_requires_a_configured_key() {
    let database = "postgres://chat@db.example/chat";
    let refused = refusal(&["--database-url", database]);
    for setting in ["JWT_SECRET", "JWT_PUBLIC_KEYS", "JWKS_URL"] {
        assert!(refused.contains(setting), "{refused}");
    }
    let with_secret = settings(&["--database-url", database, "--jwt-secret", SECRET]).expect("a key");
    assert!(!with_secret.auth.generates_signing_key && with_secret.auth.builtin_accounts);
    let with_url =
        settings(&["--database-url", database, "--jwks-url", "https://id.example/keys"]).expect("keys");
    assert!(!with_url.auth.generates_signing_key && !with_url.auth.builtin_accounts);
    assert!(refusal(&["--database-url", database, "--jwt-secret", ""]).contains("JWT_SECRET"));
}

#[test]
fn subject_rooms_require_a_grant_when_a_key_is_configured() {
    let rooms = |flags: &[&str]| settings(flags).expect("settings").subject_rooms;
    assert_eq!(rooms(&[]), SubjectRooms::Open);
    assert_eq!(rooms(&["--jwt-secret", SECRET]), SubjectRooms::Granted);
    assert_eq!(rooms(&["--jwks-url", "https://id.example/keys"]), SubjectRooms::Granted);
    assert_eq!(rooms(&["--jwt-secret", SECRET, "--subject-rooms", "open"]), SubjectRooms::Open);
    assert_eq!(rooms(&["--subject-rooms", "granted"]), SubjectRooms::Granted);
}

#[test]
fn invalid_values_name_their_setting_and_no_secret() {
    for (flags, name) in [
        (vec!["--jwt-secret", "hunter2hunter2"], "JWT_SECRET"),
        (vec!["--jwt-secret", "changemechangemechangemechangeme"], "JWT_SECRET"),
        (vec!["--database-url", "mysql://root:hunter2@x/y"], "DATABASE_URL"),
        (vec!["--amqp-url", "http://guest:hunter2@x"], "AMQP_URL"),
        (vec!["--jwks-url", "http://id.example/keys"], "JWKS_URL"),
        (vec!["--jwks-url", "nonsense"], "JWKS_URL"),
        (vec!["--jwt-public-keys", "/nowhere/key.pem"], "JWT_PUBLIC_KEYS"),
        (vec!["--allowed-origins", "https://a.example,*"], "ALLOWED_ORIGINS"),
        (vec!["--trusted-proxies", "10.0.0.0/8,proxy"], "TRUSTED_PROXIES"),
        (vec!["--public-url", "chat.example"], "PUBLIC_URL"),
        (vec!["--allowed-hosts", "chat.example,https://chat.example"], "ALLOWED_HOSTS"),
        (vec!["--metrics-bind", "everywhere"], "METRICS_BIND"),
        (vec!["--metrics-token", "hunter2"], "METRICS_TOKEN"),
        (vec!["--node-id", "a b"], "NODE_ID"),
        (vec!["--log", "chat=loud"], "LOG"),
        (vec!["--ping-seconds", "60"], "PING_SECONDS"),
        (vec!["--builtin-accounts", "on", "--jwks-url", "https://id.example/keys"], "BUILTIN_ACCOUNTS"),
    ] {
        let refused = refusal(&flags);
        assert!(refused.starts_with(name), "{flags:?}: {refused}");
        assert!(!refused.contains("hunter2") && !refused.contains("changeme"), "{refused}");
    }
}

#[test]
fn values_that_do_not_parse_name_their_setting() {
    for flags in [
        ["--bind", "everywhere"],
        ["--workers", "0"],
        ["--database-connections", "11"],
        ["--rate-messages", "many"],
        ["--rate-limits", "perhaps"],
        ["--subject-rooms", "closed"],
        ["--max-upload-bytes", "-1"],
        ["--max-replay-events", "0"],
        ["--log-format", "xml"],
    ] {
        let name = flags[0].trim_start_matches("--").replace('-', "_").to_uppercase();
        let Err(error) = Flags::try_parse_from(["chat", &flags.join("=")]) else {
            panic!("{flags:?} was taken")
        };
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(&name), "{error}");
    }
}

#[test]
fn metrics_are_local_unless_configured_otherwise() {
    let bind = |flags: &[&str]| settings(flags).expect("settings").metrics_bind;
    let here = "127.0.0.1:9464".parse().expect("an address");
    assert_eq!(bind(&[]), MetricsBind::Preferred(here));
    assert_eq!(bind(&["--metrics-token", "a-token-of-some-length"]), MetricsBind::Off);
    assert_eq!(bind(&["--metrics-bind", "off"]), MetricsBind::Off);
    let given = "10.0.0.1:9000".parse().expect("an address");
    assert_eq!(bind(&["--metrics-bind", "10.0.0.1:9000"]), MetricsBind::Given(given));
}

#[test]
fn rate_limits_off_lifts_every_rate() {
    let rates = settings(&["--rate-limits", "off"]).expect("settings").rates;
    assert!([rates.messages, rates.edits, rates.rooms, rates.uploads].iter().all(Option::is_none));
    assert!([rates.reads, rates.lookups].iter().all(Option::is_none));
    assert_eq!(rates.urgent_per_minute, None);
    assert!([rates.rest, rates.frames, rates.handshakes, rates.sign_ins].iter().all(Option::is_none));
    assert!([rates.user_handshakes, rates.bad_handshakes].iter().all(Option::is_none));
}

#[test]
fn every_setting_has_help_and_a_name_in_the_environment() {
    let command = <Flags as clap::CommandFactory>::command();
    for setting in
        command.get_arguments().filter(|setting| !["help", "version"].contains(&setting.get_id().as_str()))
    {
        let name = setting.get_id().as_str().to_uppercase();
        assert_eq!(setting.get_env().and_then(|env| env.to_str()), Some(name.as_str()));
        assert!(setting.get_help().is_some(), "{name}");
    }
}

#[test]
fn secrets_are_not_printed() {
    let settings = settings(&["--jwt-secret", SECRET, "--amqp-url", "amqp://guest:hunter2@localhost"]);
    let printed = format!("{:?}", settings.expect("settings"));
    assert!(!printed.contains(SECRET) && !printed.contains("hunter2"), "{printed}");
}
