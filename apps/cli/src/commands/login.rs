//! `tickhouse login`: a day's access token.

use crate::arguments::Common;
use crate::{output, setup};
use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;
use std::io::{BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tickhouse_config::Config;
use tickhouse_model::Timestamp;
use tickhouse_source::login::{
    HookToken, LoginError, RedirectListener, login_url, new_state, pasted_token, run_hook,
};
use tickhouse_source::rest::{Disposition, Rest};
use tickhouse_source::{
    AccessToken, Key, Secret, Url, open_to_others, token_lives_until, token_obtained, write_token_file,
};

/// How long a person may take to log in.
const PERSON: Duration = Duration::from_mins(5);
/// How long `kite.login_command` may take.
const PROGRAM: Duration = Duration::from_mins(2);
/// Exit code of `--check` where somebody has to log in.
const LOG_IN: u8 = 3;

/// A day's access token: opens Kite's login page, catches the redirect, and stores the token where the recorder finds it.
///
/// A running recorder goes on with the new token by itself. Exit codes of `--check`: 0 the token is valid, 3 log in,
/// 1 it can't be told (Kite does not answer), 2 wrong usage.
#[derive(Debug, Args)]
pub(crate) struct Login {
    /// Which of `kite.api_keys`, from 1
    #[arg(long, value_name = "N", default_value_t = 1)]
    key: usize,
    /// Print the address instead of opening a browser
    #[arg(long)]
    no_browser: bool,
    /// The request token, or the address that the browser was sent to; - reads it from standard input
    #[arg(long, value_name = "TOKEN", conflicts_with = "check")]
    request_token: Option<String>,
    /// Only say whether the stored token is valid
    #[arg(long)]
    check: bool,
    /// REST of the exchange [default: Kite's]
    #[arg(long, value_name = "HTTP_URL")]
    api_url: Option<String>,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// A key with what belongs to it.
struct Account {
    number: usize,
    api_key: String,
    secret: Option<Secret>,
    file: PathBuf,
}

pub(crate) fn run(common: &Common, command: &Login) -> anyhow::Result<()> {
    let sources = setup::sources(common)?.with_flag("kite.api_url", "--api-url", command.api_url.as_ref());
    let config = Config::read(&sources)?;
    setup::logs(&config, None)?;
    let account = account(&config, command.key)?;
    // not the pool of a server: what a prompt may block is this program's own
    let runtime = setup::runtime(1)?;
    let outcome = runtime.block_on(async {
        if command.check {
            check(&config, &account, command.json).await
        } else {
            log_in(&config, &account, command).await
        }
    });
    // a thread may still wait for a line of standard input
    runtime.shutdown_background();
    outcome
}

fn account(config: &Config, number: usize) -> anyhow::Result<Account> {
    let settings = &config.kite;
    let Some(index) = number.checked_sub(1).filter(|index| *index < settings.api_keys.len()) else {
        bail!("there is no key {number}: kite.api_keys has {}", settings.api_keys.len());
    };
    let secret = match (settings.api_secret_files.get(index), settings.api_secrets.get(index)) {
        (Some(path), _) => {
            warn_of_others(path);
            let text = std::fs::read_to_string(path);
            Some(Secret::new(
                &text.with_context(|| format!("kite.api_secret_files {} can't be read", path.display()))?,
            ))
        }
        (None, Some(secret)) => Some(Secret::new(secret.expose())),
        (None, None) => None,
    };
    Ok(Account {
        number,
        api_key: settings.api_keys[index].expose().to_owned(),
        secret: secret.filter(|secret| !secret.is_empty()),
        file: settings.access_token_files[index].clone(),
    })
}

/// Says when a file with a secret can be read by others.
fn warn_of_others(path: &Path) {
    if let Some(mode) = open_to_others(path) {
        let (file, mode) = (path.display(), format!("{mode:o}"));
        tracing::warn!(%file, mode, "others can read this secret: chmod 600");
    }
}

/// Says whether the stored token is valid.
async fn check(config: &Config, account: &Account, as_json: bool) -> anyhow::Result<()> {
    warn_of_others(&account.file);
    let token = match std::fs::read_to_string(&account.file) {
        Ok(text) => Secret::new(text.lines().next().unwrap_or_default()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Secret::default(),
        Err(error) => bail!("{} can't be read: {error}", account.file.display()),
    };
    let (problem, user) = if token.is_empty() {
        (Some(format!("{} holds no access token", account.file.display())), None)
    } else {
        let key = Key::new(account.api_key.clone(), AccessToken::fixed(token));
        match Rest::new(&config.kite.api_url)?.profile(&key).await {
            Ok(profile) => (None, Some(profile.user_id)),
            Err(error) if error.disposition() == Disposition::LogIn => (Some(error.to_string()), None),
            Err(error) => return Err(error).context("it can't be told whether the token is valid"),
        }
    };
    let until = token_obtained(&account.file).map(token_lives_until);
    if as_json {
        let until = until.filter(|_| problem.is_none()).map(|until| until.to_string());
        output::json(&json!({
            "key": account.number, "valid": problem.is_none(), "user_id": user, "lives_until": until, "problem": problem,
        }))?;
    } else if let Some(user) = &user {
        output::line(&format!("key {}: valid, of {user}, until {}", account.number, clock_text(until)))?;
    }
    match problem {
        None => Ok(()),
        Some(problem) => Err(output::Exit::with(
            LOG_IN,
            format!("key {}: {problem}: run `tickhouse login`", account.number),
        )),
    }
}

async fn log_in(config: &Config, account: &Account, command: &Login) -> anyhow::Result<()> {
    let rest = Rest::new(&config.kite.api_url)?;
    let access_token = match token(config, account, command).await? {
        HookToken::Access(token) => token,
        HookToken::Request(request) => {
            let secret = account.secret.as_ref().context(
                "no API secret is set: put it into a file of its own and name it in kite.api_secret_files, or set \
                 TICKHOUSE_KITE_API_SECRETS",
            )?;
            rest.session_token(&account.api_key, &request, secret).await?.access_token
        }
    };
    // checked before it replaces one that may still be good
    let key = Key::new(account.api_key.clone(), AccessToken::fixed(access_token.clone()));
    let profile = rest.profile(&key).await.context("kite gave an access token and then refused it")?;
    write_token_file(&account.file, &access_token)
        .with_context(|| format!("{} can't be written", account.file.display()))?;
    let until = token_lives_until(config.clock.now());
    if command.json {
        return output::json(&json!({
            "key": account.number, "user_id": profile.user_id, "user_name": profile.user_name,
            "exchanges": profile.exchanges, "file": account.file, "lives_until": until.to_string(),
        }));
    }
    let file = account.file.display();
    let name = format!("{} ({})", profile.user_id, profile.user_name);
    Ok(output::line(&format!(
        "logged in as {name}: the token is in {file} and lives until {}",
        clock_text(Some(until))
    ))?)
}

/// A token of either kind, from wherever one is to be had.
async fn token(config: &Config, account: &Account, command: &Login) -> anyhow::Result<HookToken> {
    if let Some(given) = &command.request_token {
        let text = if given == "-" { line_of_input()? } else { given.clone() };
        // the page was opened by another run, whose `state` is not known here
        return Ok(HookToken::Request(pasted_token(&text, None)?));
    }
    let state = new_state();
    let listener = match RedirectListener::bind(&config.kite.redirect_url, &state).await {
        Ok(listener) => Some(listener),
        Err(error) => {
            tracing::warn!(%error, "the redirect can't be caught");
            None
        }
    };
    let page = page(config, account, &state, listener.as_ref())?;
    if !config.kite.login_command.is_empty() {
        return Ok(run_hook(&config.kite.login_command, &account.api_key, &page, PROGRAM).await?);
    }
    let opened = !command.no_browser && open::that_detached(page.as_str()).is_ok();
    eprintln!(
        "{}:\n\n  {page}\n",
        if opened { "log in in the browser; if none has opened, open" } else { "log in at" }
    );
    let interactive = std::io::stdin().is_terminal();
    if interactive {
        eprintln!("then wait, or paste the address that the browser was sent to:");
    }
    tokio::select! {
        token = redirected(listener.as_ref()), if listener.is_some() => Ok(HookToken::Request(token?)),
        text = pasted(), if interactive => Ok(HookToken::Request(pasted_token(&text?, Some(&state))?)),
        else => bail!("nobody can bring the token: pass it with --request-token"),
    }
}

/// The address to open: a simulator has its own, and is told where to send the browser.
fn page(
    config: &Config,
    account: &Account,
    state: &str,
    listener: Option<&RedirectListener>,
) -> Result<Url, LoginError> {
    let api: Option<Url> = config.kite.api_url.parse().ok();
    let simulated = api.filter(|api| matches!(api.host_str(), Some("127.0.0.1" | "localhost")));
    match simulated {
        Some(api) => {
            let base = format!("{}/connect/login", api.as_str().trim_end_matches('/'));
            login_url(&base, &account.api_key, state, listener.map(RedirectListener::url))
        }
        None => login_url(&config.kite.login_url, &account.api_key, state, None),
    }
}

async fn redirected(listener: Option<&RedirectListener>) -> Result<Secret, LoginError> {
    match listener {
        Some(listener) => listener.wait(PERSON).await,
        None => std::future::pending().await,
    }
}

async fn pasted() -> anyhow::Result<String> {
    tokio::task::spawn_blocking(line_of_input).await.context("standard input can't be read")?
}

fn line_of_input() -> anyhow::Result<String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("standard input can't be read")?;
    Ok(line)
}

fn clock_text(at: Option<Timestamp>) -> String {
    at.map_or_else(
        || "06:00 of the next morning".to_owned(),
        |at| format!("{} {}", &at.to_string()[..10], &at.to_string()[11..16]),
    )
}
