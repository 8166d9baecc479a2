//! `tickhouse universe`: what the rules mean today, what that changes, whether it fits.

use crate::arguments::Common;
use crate::universe::{self, Quoted, Subscribed};
use crate::{output, setup};
use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tickhouse_config::{Config, OnExcess};
use tickhouse_enrich::InstrumentTable;
use tickhouse_model::Token;
use tickhouse_source::{Key, ShardLimits};
use tickhouse_universe::{Resolution, Universe};

/// How many instruments a difference names on the screen.
const NAMED: usize = 20;

/// What to record: rules, today's instruments and prices.
#[derive(Debug, Args)]
pub(crate) struct UniverseCommand {
    #[command(subcommand)]
    action: Action,
    /// REST of the exchange [default: Kite's]
    #[arg(long, global = true, value_name = "HTTP_URL")]
    api_url: Option<String>,
    /// One JSON object
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Action {
    /// What would be recorded now: rule by rule, and on which sockets
    Show,
    /// What would change for the recorder that runs, or since the last one that ran
    Diff,
    /// Whether the rules can be used and fit; fails when not
    Check,
}

pub(crate) fn run(common: &Common, command: &UniverseCommand) -> anyhow::Result<()> {
    let sources = setup::sources(common)?.with_flag("kite.api_url", "--api-url", command.api_url.as_ref());
    let config = Config::read(&sources)?;
    setup::logs(&config, None)?;
    setup::runtime(2)?.block_on(async {
        let now = Now::resolve(&config).await?;
        match command.action {
            Action::Show => now.show(command.json),
            Action::Diff => now.diff(command.json),
            Action::Check => now.check(command.json),
        }
    })
}

/// The universe as it is now.
struct Now<'a> {
    config: &'a Config,
    table: InstrumentTable,
    universe: Universe,
    resolution: Resolution,
    sockets: Vec<usize>,
    notices: Vec<String>,
}

impl<'a> Now<'a> {
    async fn resolve(config: &'a Config) -> anyhow::Result<Self> {
        let keys = universe::keys(config);
        let Quoted { table, mut universe, prices, notices } = Quoted::ask(config, &keys).await?;
        let settings = &config.kite;
        let limits =
            ShardLimits { per_socket: settings.tokens_per_socket, sockets_per_key: settings.sockets_per_key };
        // without a key: as one would carry it
        let names: Vec<&str> =
            if keys.is_empty() { vec!["-"] } else { keys.iter().map(Key::api_key).collect() };
        let capacity = names.len() * limits.sockets_per_key * limits.per_socket;
        let resolution = universe.resolve(|token| prices.get(token), capacity);
        let shards = universe::shards(&resolution, universe.most(), &names, limits)?;
        let sockets = shards.iter().map(|shard| shard.subscriptions.len()).collect();
        Ok(Self { config, table, universe, resolution, sockets, notices })
    }

    /// `NFO:NIFTY26NOV24000CE`, or the token of what the master does not have.
    fn name(&self, token: Token) -> String {
        self.table.get(token).map_or_else(
            || token.to_string(),
            |found| format!("{}:{}", self.table.text(found.exchange), self.table.text(found.tradingsymbol)),
        )
    }

    fn show(&self, as_json: bool) -> anyhow::Result<()> {
        let resolution = &self.resolution;
        if as_json {
            let instruments: Vec<Value> = resolution
                .wanted
                .iter()
                .map(|one| json!({ "token": one.token, "instrument": self.name(one.token), "mode": one.mode.name() }))
                .collect();
            return output::json(&json!({
                "instruments": instruments,
                "capacity": resolution.capacity,
                "left_out": resolution.left_out,
                "first_left_out": resolution.first_left_out.iter().map(|token| self.name(*token)).collect::<Vec<_>>(),
                "most": self.universe.most(),
                "sockets": self.sockets,
                "rules": resolution.rules,
                "notices": self.notices,
            }));
        }
        output::line(&resolution.to_string())?;
        for money in resolution.rules.iter().flat_map(|rule| &rule.at_the_money) {
            let price = money.price.map_or_else(|| "unknown".to_owned(), |price| price.to_string());
            let strikes: Vec<String> = money.strikes.iter().map(ToString::to_string).collect();
            output::line(&format!("{} at {price}: strike {}", money.underlying, strikes.join(", ")))?;
        }
        for name in resolution.rules.iter().flat_map(|rule| &rule.waiting) {
            output::line(&format!("{name}: no price yet, its options follow with the first one"))?;
        }
        let sockets: Vec<String> = self.sockets.iter().map(|count| output::grouped(*count as u64)).collect();
        output::line(&format!("{} socket(s): {}", sockets.len(), sockets.join(", ")))?;
        self.notices.iter().try_for_each(|notice| output::line(&format!("note: {notice}")))?;
        Ok(())
    }

    fn diff(&self, as_json: bool) -> anyhow::Result<()> {
        let Some(before) = Subscribed::read(&self.config.data_dir) else {
            bail!("no recorder has run on {}: see `tickhouse universe show`", self.config.data_dir.display());
        };
        let runs = crate::process::RunFile::read(&crate::endpoints::run_dir(&self.config.data_dir), "record")
            .is_some_and(|file| file.is_alive() && file.pid == before.pid);
        let old: BTreeMap<Token, &str> =
            before.sockets.values().flatten().map(|(token, mode)| (Token(*token), mode.as_str())).collect();
        let new: BTreeMap<Token, &str> =
            self.resolution.wanted.iter().map(|one| (one.token, one.mode.name())).collect();
        let names = |tokens: Vec<Token>| tokens.into_iter().map(|token| self.name(token)).collect::<Vec<_>>();
        let added = names(new.keys().filter(|token| !old.contains_key(token)).copied().collect());
        let removed = names(old.keys().filter(|token| !new.contains_key(token)).copied().collect());
        let differs = |token: &&Token| old.get(token).is_some_and(|mode| *mode != new[*token]);
        let modes = names(new.keys().filter(differs).copied().collect());
        if as_json {
            return output::json(&json!({
                "recorder_runs": runs,
                "resolved_at": before.resolved_at,
                "added": added,
                "removed": removed,
                "modes": modes,
            }));
        }
        let against = if runs { "the recorder that runs" } else { "the last recorder, which has ended" };
        output::line(&format!(
            "against {against} (resolved at {}): {} added, {} removed, {} in another mode",
            before.resolved_at,
            added.len(),
            removed.len(),
            modes.len()
        ))?;
        for (mark, names) in [("+", &added), ("-", &removed), ("~", &modes)] {
            for name in names.iter().take(NAMED) {
                output::line(&format!("  {mark} {name}"))?;
            }
            if names.len() > NAMED {
                output::line(&format!("  {mark} … {} more (--json)", names.len() - NAMED))?;
            }
        }
        Ok(())
    }

    fn check(&self, as_json: bool) -> anyhow::Result<()> {
        let resolution = &self.resolution;
        let empty = resolution.wanted.is_empty() && resolution.left_out == 0;
        let usable = resolution.fits() && !empty;
        if as_json {
            output::json(&json!({
                "usable": usable,
                "instruments": resolution.wanted.len() + resolution.left_out,
                "capacity": resolution.capacity,
                "left_out": resolution.left_out,
                "on_excess": self.config.kite.on_excess.to_string(),
                "rules": resolution.rules,
                "notices": self.notices,
            }))?;
        } else {
            output::line(&resolution.to_string())?;
            self.notices.iter().try_for_each(|notice| output::line(&format!("note: {notice}")))?;
        }
        if empty {
            bail!("the rules select no instrument of today's list");
        }
        if !resolution.fits() {
            let then = match self.config.kite.on_excess {
                OnExcess::Refuse => "a recorder would not start",
                OnExcess::DropLowest => "a recorder would leave out the lowest priorities",
            };
            bail!(
                "{} instruments too many: {then}; narrow the rules or add API keys",
                output::grouped(resolution.left_out as u64)
            );
        }
        Ok(())
    }
}
