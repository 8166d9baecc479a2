//! Where messages go. Secrets are read from their files with every message, so that a new one counts at once; no error holds one.

use anyhow::{Context as _, bail};
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tickhouse_config::{Alert, Email, Secret, SmtpSecurity, Telegram};
use tickhouse_health::Message;

/// How long a receiver may take.
const SEND_LIMIT: Duration = Duration::from_secs(20);
/// Longest text that Telegram takes is 4,096 characters.
const TELEGRAM_CHARS: usize = 4_000;

/// Somebody who is told.
#[derive(Debug)]
pub(super) enum Receiver {
    Telegram(Telegram, reqwest::Client),
    Email(Email),
    Webhook(PathBuf, reqwest::Client),
}

impl Receiver {
    /// All that are configured.
    ///
    /// # Errors
    /// When an address of e-mail is none.
    pub(super) fn all(alert: &Alert) -> anyhow::Result<Vec<Self>> {
        let client = reqwest::Client::builder().timeout(SEND_LIMIT).build().context("no HTTP client")?;
        let mut all = Vec::new();
        all.extend(alert.telegram.clone().map(|telegram| Self::Telegram(telegram, client.clone())));
        if let Some(email) = &alert.email {
            mailboxes(email)?;
            all.push(Self::Email(email.clone()));
        }
        all.extend(alert.webhook_url_file.clone().map(|file| Self::Webhook(file, client)));
        Ok(all)
    }

    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Telegram(..) => "telegram",
            Self::Email(_) => "e-mail",
            Self::Webhook(..) => "webhook",
        }
    }

    /// Sends one message.
    ///
    /// # Errors
    /// When a secret can't be read, or the other side does not take it.
    pub(super) async fn send(&self, message: &Message) -> anyhow::Result<()> {
        match self {
            Self::Telegram(telegram, client) => {
                let token = secret("alert.telegram_token_file", &telegram.token_file)?;
                // the token is in the address: that never gets into an error
                let url = format!("{}/bot{}/sendMessage", telegram.api_url, token.expose());
                let text: String = message.text.chars().take(TELEGRAM_CHARS).collect();
                let body =
                    json!({ "chat_id": telegram.chat_id, "text": text, "disable_web_page_preview": true });
                post(client, &url, &body).await
            }
            Self::Webhook(file, client) => {
                let url = secret("alert.webhook_url_file", file)?;
                // Slack reads `text`, Discord `content`
                let body = json!({
                    "text": message.text, "content": message.text, "title": message.title, "state": message.state,
                });
                post(client, url.expose(), &body).await
            }
            Self::Email(email) => mail(email, message).await,
        }
    }
}

async fn post(client: &reqwest::Client, url: &str, body: &Value) -> anyhow::Result<()> {
    let answer = client.post(url).json(body).send().await.map_err(reqwest::Error::without_url)?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    // Telegram and others say why in `description`
    let said: Value = answer.json().await.unwrap_or_default();
    let why = said["description"].as_str().unwrap_or_default();
    bail!("refused with HTTP {status} {why}");
}

fn secret(key: &str, file: &Path) -> anyhow::Result<Secret> {
    let secret =
        Secret::from_file(Some(file)).with_context(|| format!("{key}: {} can't be read", file.display()))?;
    if secret.is_empty() {
        bail!("{key}: {} is empty", file.display());
    }
    Ok(secret)
}

fn mailboxes(email: &Email) -> anyhow::Result<(Mailbox, Vec<Mailbox>)> {
    let parse = |key: &str, text: &str| -> anyhow::Result<Mailbox> {
        text.parse().with_context(|| format!("{key}: `{text}` is no address"))
    };
    let to = email.to.iter().map(|text| parse("alert.email_to", text)).collect::<Result<_, _>>()?;
    Ok((parse("alert.email_from", &email.from)?, to))
}

async fn mail(email: &Email, message: &Message) -> anyhow::Result<()> {
    type Transport = AsyncSmtpTransport<Tokio1Executor>;
    let (from, to) = mailboxes(email)?;
    let mut letter = lettre::Message::builder().from(from).subject(&message.title);
    for mailbox in to {
        letter = letter.to(mailbox);
    }
    let letter = letter.body(message.text.clone()).context("no letter")?;
    let mut transport = match email.security {
        SmtpSecurity::Tls => Transport::relay(&email.host)?,
        SmtpSecurity::StartTls => Transport::starttls_relay(&email.host)?,
        // the configuration allows it on this machine only
        SmtpSecurity::None => Transport::builder_dangerous(&email.host),
    }
    .port(email.port)
    .timeout(Some(SEND_LIMIT));
    if !email.user.is_empty() {
        let file =
            email.password_file.as_deref().context("alert.smtp_user needs alert.smtp_password_file")?;
        let password = secret("alert.smtp_password_file", file)?;
        transport = transport.credentials(Credentials::new(email.user.clone(), password.expose().to_owned()));
    }
    transport.build().send(letter).await.context("the mail server did not take it")?;
    Ok(())
}
