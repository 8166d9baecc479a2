//! Section `[alert]`.

use crate::reader::Reader;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Section `[alert]`: where messages go, and how often. Secrets stand in files.
#[derive(Clone, Debug)]
pub struct Alert {
    /// A chat of Telegram.
    pub telegram: Option<Telegram>,
    /// E-mail.
    pub email: Option<Email>,
    /// File with an address that takes a POST of JSON; the address itself may be a secret.
    pub webhook_url_file: Option<PathBuf>,
    /// Between two looks.
    pub look_every: Duration,
    /// How long something must be wrong before it is said.
    pub after: Duration,
    /// When what goes on is said again.
    pub remind_every: Duration,
}

/// A chat of Telegram.
#[derive(Clone, Debug)]
pub struct Telegram {
    /// File with the bot's token.
    pub token_file: PathBuf,
    /// Number of the chat, or `@name` of a channel.
    pub chat_id: String,
    /// The bot API, without a slash at the end.
    pub api_url: String,
}

/// E-mail over SMTP.
#[derive(Clone, Debug)]
pub struct Email {
    /// Address of the sender.
    pub from: String,
    /// Addresses.
    pub to: Vec<String>,
    /// The server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is kept secret.
    pub security: SmtpSecurity,
    /// Who logs in; empty for nobody.
    pub user: String,
    /// File with the password.
    pub password_file: Option<PathBuf>,
}

/// How a connection to a mail server is kept secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// TLS from the start.
    Tls,
    /// TLS after a word in the clear, or nothing is sent.
    StartTls,
    /// None: only to a server on this machine.
    None,
}

impl FromStr for SmtpSecurity {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "tls" => Ok(Self::Tls),
            "starttls" => Ok(Self::StartTls),
            "none" => Ok(Self::None),
            _ => Err("use tls, starttls or none"),
        }
    }
}

impl Alert {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        let seconds = |reader: &mut Reader<'_>, key, default, range| {
            Duration::from_secs(reader.number(key, default, range))
        };
        Self {
            telegram: telegram(reader),
            email: email(reader),
            webhook_url_file: reader.path("alert.webhook_url_file", ""),
            look_every: seconds(reader, "alert.look_seconds", 10, 1..=3_600),
            after: seconds(reader, "alert.after_seconds", 15, 0..=3_600),
            remind_every: seconds(reader, "alert.remind_minutes", 60, 1..=10_080) * 60,
        }
    }

    /// Whether anything is told anywhere.
    pub const fn has_receiver(&self) -> bool {
        self.telegram.is_some() || self.email.is_some() || self.webhook_url_file.is_some()
    }
}

fn telegram(reader: &mut Reader<'_>) -> Option<Telegram> {
    const CHAT: &str = "alert.telegram_chat_id";
    const API: &str = "alert.telegram_api_url";
    let token_file = reader.path("alert.telegram_token_file", "");
    let chat_id = reader.text(CHAT, "");
    let api_url = reader.text(API, "https://api.telegram.org").trim_end_matches('/').to_owned();
    if !api_url.starts_with("https://") && !api_url.starts_with("http://127.0.0.1:") {
        let origin = reader.origin(API);
        reader.fault(API, origin, "must be https://HOST: the bot's token is part of what is sent".to_owned());
    }
    let token_file = token_file?;
    if chat_id.is_empty() {
        let origin = reader.origin("alert.telegram_token_file");
        reader.fault(CHAT, origin, "is missing: alert.telegram_token_file is set".to_owned());
    }
    Some(Telegram { token_file, chat_id, api_url })
}

fn email(reader: &mut Reader<'_>) -> Option<Email> {
    const HOST: &str = "alert.smtp_host";
    const SECURITY: &str = "alert.smtp_security";
    let email = Email {
        from: reader.text("alert.email_from", ""),
        to: reader.list("alert.email_to", &[]),
        host: reader.text(HOST, ""),
        port: reader.port("alert.smtp_port", 465),
        security: reader.parsed(SECURITY, "tls"),
        user: reader.text("alert.smtp_user", ""),
        password_file: reader.path("alert.smtp_password_file", ""),
    };
    if email.host.is_empty() && email.to.is_empty() {
        return None;
    }
    for (key, is_missing) in [
        (HOST, email.host.is_empty()),
        ("alert.email_from", email.from.is_empty()),
        ("alert.email_to", email.to.is_empty()),
    ] {
        if is_missing {
            let origin = reader.origin(key);
            reader.fault(
                key,
                origin,
                "is missing: e-mail needs smtp_host, email_from and email_to".to_owned(),
            );
        }
    }
    let is_here = ["127.0.0.1", "localhost", "::1"].contains(&email.host.as_str());
    if email.security == SmtpSecurity::None && !is_here {
        let origin = reader.origin(SECURITY);
        reader.fault(
            SECURITY,
            origin,
            "none is for a server on this machine: use tls or starttls".to_owned(),
        );
    }
    Some(email)
}
