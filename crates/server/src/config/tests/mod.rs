//! What the configuration promises, told with variables instead of an environment.

mod arbitrary;
mod hardening;
mod identity;
mod reach;

use api::WithoutCredential;
use domain::Scope;

use super::declaration::Fallback;
use super::forms::Form;
use super::settings::ALL;
use super::unknown::NOT_YET;
use super::*;

const KEY: &str = "0123456789abcdef-admin";
const OTHER_KEY: &str = "0123456789abcdef-render";

fn variables(pairs: &[(&str, &str)]) -> Variables {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn accepted(pairs: &[(&str, &str)]) -> Config {
    Config::read(&variables(pairs), 2).unwrap_or_else(|problems| panic!("{problems}"))
}

fn refused(pairs: &[(&str, &str)]) -> String {
    Config::read(&variables(pairs), 2).expect_err("this configuration has a problem").to_string()
}

#[test]
fn an_empty_environment_is_a_server_for_this_machine_with_an_embedded_database() {
    let config = accepted(&[]);
    assert_eq!((config.host.as_str(), config.port), ("127.0.0.1", 3000));
    assert!(config.identity.keys.current.is_empty());
    assert_eq!(config.identity.without_credential, WithoutCredential::ThisMachinePasses);
    assert!(matches!(config.storage, Storage::Embedded { bin_dir: None }));
    assert_eq!((config.browser.max_concurrent_pages, config.browser.max_queue_depth), (3, 6), "cores + 1, and twice that");
    assert_eq!(config.render_timeout_ms, 65_000);
    assert!(config.warnings.is_empty());
}

#[test]
fn every_problem_is_in_the_one_message_with_what_was_found_and_what_is_accepted() {
    let message = refused(&[("PORT", "70000"), ("DOCS_ENABLED", "maybe"), ("LOG_LEVEL", "loud"), ("API_KEY_RENDER", "short")]);
    assert!(message.starts_with("The configuration has 4 problems:"), "{message}");
    for part in [
        "PORT: found \"70000\"",
        "a whole number from 1 to 65535",
        "DOCS_ENABLED: found \"maybe\"",
        "true, 1, yes, on or false, 0, no, off",
        "LOG_LEVEL: found \"loud\"",
        "trace, debug, info, warn or error",
        "API_KEY_RENDER: found a value (hidden) of 5 characters",
        "at least 16 printable characters without spaces",
    ] {
        assert!(message.contains(part), "{part:?} is missing in:\n{message}");
    }
}

#[test]
fn no_secret_is_ever_printed() {
    for setting in ALL.iter().filter(|setting| setting.is_secret()) {
        let message = refused(&[(setting.name, "hunter2 with spaces"), ("PORT", "x")]);
        assert!(!message.contains("hunter2"), "{message}");
    }
    assert!(refused(&[("DATABASE_URL", "mysql://me:hunter2@db/pulp")]).contains("beginning with mysql://"));
}

#[test]
fn a_boolean_is_one_of_eight_words_and_false_is_not_true() {
    for word in ["true", "1", "yes", "on", "TRUE"] {
        assert_eq!(accepted(&[("PULP_ENGINE_DISABLE_SANDBOX", word)]).browser.sandbox, Sandbox::Disabled, "{word}");
    }
    for word in ["false", "0", "no", "off", "False", ""] {
        assert_eq!(accepted(&[("PULP_ENGINE_DISABLE_SANDBOX", word)]).browser.sandbox, Sandbox::WhenPossible, "{word}");
    }
    for word in ["flase", "2", " true", "y"] {
        assert!(refused(&[("PULP_ENGINE_DISABLE_SANDBOX", word)]).contains("PULP_ENGINE_DISABLE_SANDBOX"), "{word}");
    }
}

#[test]
fn a_number_is_digits_within_its_range() {
    for wrong in ["+5", "-1", "1e3", "0x10", "51", "0", " 3", "3 ", "99999999999999999999999"] {
        assert!(refused(&[("RENDER_MAX_CONCURRENT_PAGES", wrong)]).contains("from 1 to 50"), "{wrong}");
    }
    assert_eq!(accepted(&[("RENDER_MAX_CONCURRENT_PAGES", "50")]).browser.max_queue_depth, 100);
}

#[test]
fn a_misspelt_setting_stops_the_start_and_names_the_right_one() {
    for (wrong, right) in [
        ("RENDER_MAX_QUEUE_DEPHT", "RENDER_MAX_QUEUE_DEPTH"),
        ("API_KEY_ADMN", "API_KEY_ADMIN"),
        ("PULP_DATADIR", "PULP_DATA_DIR"),
        ("S3_REGIO", "S3_REGION"),
    ] {
        let message = refused(&[(wrong, "x")]);
        assert!(message.contains(&format!("{wrong}: there is no setting of this name")), "{message}");
        assert!(message.contains(&format!("perhaps {right} was meant")), "{message}");
    }
}

#[test]
fn a_foreign_variable_is_left_alone_and_one_that_looks_like_ours_is_warned_about() {
    let quiet = accepted(&[("HOSTNAME", "pod-1"), ("PATH", "/bin"), ("POSTGRES_PORT", "tcp://10.0.0.1:5432")]);
    assert!(quiet.warnings.is_empty(), "{:?}", quiet.warnings);
    let warned = accepted(&[
        ("RENDER_SERVICE_HOST", "10.0.0.1"),
        ("DATABSE_URL", "postgres://x/y"),
        ("PPTX_ENABLED", "true"),
        ("API_KEY_EDITOR", ""),
    ]);
    let text = warned.warnings.join("\n");
    for part in ["RENDER_SERVICE_HOST", "perhaps DATABASE_URL was meant", "PPTX_ENABLED", "API_KEY_EDITOR is set but empty"] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}

#[test]
fn a_secret_may_come_from_a_file_but_not_from_both_places() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, format!("{KEY}\n")).unwrap();
    let path = path.to_str().unwrap();
    assert_eq!(accepted(&[("API_KEY_ADMIN_FILE", path)]).identity.keys.current, [(Scope::Admin, Secret::new(KEY))]);
    assert!(refused(&[("API_KEY_ADMIN_FILE", path), ("API_KEY_ADMIN", KEY)]).contains("API_KEY_ADMIN: set, and so is API_KEY_ADMIN_FILE"));
    assert!(refused(&[("API_KEY_ADMIN_FILE", "/nowhere/key")]).contains("\"/nowhere/key\" cannot be read"));
    std::fs::write(path, "\n").unwrap();
    assert!(refused(&[("API_KEY_ADMIN_FILE", path)]).contains("is empty"));
    std::fs::write(path, "short").unwrap();
    assert!(refused(&[("API_KEY_ADMIN_FILE", path)]).contains("API_KEY_ADMIN: found a value (hidden) of 5 characters"));
}

#[test]
fn without_a_key_the_server_listens_to_this_machine_only() {
    for open in ["0.0.0.0", "::", "192.168.1.5", "render.example.org"] {
        assert!(refused(&[("HOST", open)]).contains("API_KEY_ADMIN: no API key is set"), "{open}");
        accepted(&[("HOST", open), ("API_KEY_RENDER", KEY)]);
    }
    for closed in ["127.0.0.1", "127.1.2.3", "::1", "localhost"] {
        accepted(&[("HOST", closed)]);
    }
    for wrong in ["127.0.0.256", "http://x", "a b", "1.2.3.4:80"] {
        assert!(refused(&[("HOST", wrong)]).contains("an IP address or a host name"), "{wrong}");
    }
}

#[test]
fn the_storage_mode_and_the_database_url_agree() {
    assert!(matches!(accepted(&[("DATABASE_URL", "postgresql://db/pulp")]).storage, Storage::Postgres { .. }));
    assert!(matches!(accepted(&[("STORAGE_MODE", "file")]).storage, Storage::Embedded { .. }));
    assert!(refused(&[("STORAGE_MODE", "postgres")]).contains("DATABASE_URL is not set"));
    assert!(refused(&[("STORAGE_MODE", "embedded"), ("DATABASE_URL", "postgres://db/pulp")]).contains("DATABASE_URL is set"));
    assert!(refused(&[("DATABASE_DIRECT_URL", "postgres://db/pulp")]).contains("DATABASE_URL beside it"));
    for several in ["postgres://me:pass@one:5432,other/pulp", "postgres:///pulp?host=one,other", "postgres://one/pulp?port=1,2"] {
        let message = refused(&[("DATABASE_URL", "postgres://db/pulp"), ("DATABASE_DIRECT_URL", several)]);
        assert!(message.contains("DATABASE_DIRECT_URL") && message.contains("one host") && !message.contains("pass"), "{message}");
    }
    accepted(&[("DATABASE_URL", "postgres://me:a,b@db/pulp?host=/run,x/postgresql&user=a,b")]);
    assert!(refused(&[("STORAGE_MODE", "sqlserver")]).contains("embedded, file or postgres"));
}

#[test]
fn a_bucket_without_its_key_is_refused_instead_of_quietly_becoming_a_folder() {
    let message = refused(&[("ASSET_BINARY_STORE", "s3"), ("S3_BUCKET", "documents")]);
    for missing in ["S3_REGION", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"] {
        assert!(message.contains(missing), "{message}");
    }
    assert!(!message.contains("S3_BUCKET:"), "{message}");
}

#[test]
fn a_file_of_certificates_that_holds_none_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    assert!(refused(&[("S3_CA_FILE", path)]).contains("holds no certificate"));
    assert!(refused(&[("S3_CA_FILE", "/nowhere/ca.pem")]).contains("S3_CA_FILE"));
    let url = "postgres://me:hidden@db/pulp?sslmode=verify-full&sslrootcert=/nowhere/ca.pem";
    let message = refused(&[("DATABASE_URL", url)]);
    assert!(message.contains("DATABASE_URL") && message.contains("sslrootcert") && !message.contains("hidden@"), "{message}");
}

#[test]
fn the_address_of_files_is_one_that_paths_can_stand_behind() {
    for wrong in ["https://files.example.com?x=1", "https://files.example.com/#top", "files.example.com", "ftp://files.example.com"] {
        assert!(refused(&[("ASSETS_BASE_URL", wrong)]).contains("ASSETS_BASE_URL"), "{wrong}");
    }
    let config = Config::read(&variables(&[("ASSETS_BASE_URL", "https://files.example.com/pulp/")]), 2).unwrap();
    assert_eq!(config.assets.base_url.as_deref(), Some("https://files.example.com/pulp"));
}

#[test]
fn both_ends_of_every_range_and_every_word_of_every_choice_can_be_read() {
    for setting in ALL {
        let values = match &setting.form {
            Form::Whole { from, to } => vec![from.to_string(), to.to_string()],
            Form::Choice(words) => words.iter().map(|word| (*word).to_owned()).collect(),
            _ => continue,
        };
        for value in values {
            if let Err(problems) = Config::read(&variables(&[(setting.name, &value)]), 2) {
                // Rules between settings may refuse it; the value itself is accepted.
                assert!(!problems.to_string().contains(&format!("found {value:?}")), "{problems}");
            }
        }
    }
}

#[test]
fn the_manual_names_every_setting_with_its_default() {
    for page in [plain(), markdown()] {
        for name in NOT_YET {
            assert!(page.contains(name), "{name}");
        }
        for setting in ALL {
            assert!(page.contains(setting.name), "{}", setting.name);
            if let Fallback::Value(value) = setting.default {
                assert!(page.contains(value), "{}", setting.name);
            }
        }
    }
    assert!(plain().lines().all(|line| line.chars().count() <= 100), "{}", plain());
}

#[test]
fn protected_labels_are_listed_once_and_a_wrong_one_is_told() {
    assert!(accepted(&[]).releases.protected.is_empty());
    let set = accepted(&[("PROTECTED_LABELS", "prod, staging,prod,")]).releases.protected;
    assert_eq!(set.iter().map(domain::labels::LabelName::as_str).collect::<Vec<_>>(), ["prod", "staging"]);
    let message = refused(&[("PROTECTED_LABELS", "prod,Live")]);
    assert!(message.contains("PROTECTED_LABELS") && message.contains("labels by commas"), "{message}");
}

#[test]
fn the_live_label_is_a_label_and_a_wrong_one_is_told_with_what_is_accepted() {
    let usual = accepted(&[]).releases;
    assert_eq!((usual.default_live_label, usual.variants), (None, domain::variants::Variants::Off));
    let set = accepted(&[("DEFAULT_LIVE_LABEL", "prod"), ("VARIANTS_ENABLED", "on")]).releases;
    assert_eq!((set.default_live_label, set.variants), (Some("prod".parse().unwrap()), domain::variants::Variants::On));
    for wrong in ["Prod", "@latest", "1st"] {
        let message = refused(&[("DEFAULT_LIVE_LABEL", wrong)]);
        assert!(message.contains("DEFAULT_LIVE_LABEL") && message.contains("beginning with a letter"), "{message}");
    }
}
