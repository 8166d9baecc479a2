use super::*;
use proptest::prelude::*;

/// The phase at a time of India's clock.
fn at(market: Market, time: &str) -> &'static str {
    Calendar::builtin().session(market, moment(time)).name()
}

fn moment(time: &str) -> Timestamp {
    let local: jiff::civil::DateTime = time.parse().unwrap();
    let zone = jiff::tz::TimeZone::get("Asia/Kolkata").unwrap();
    Timestamp::from_millis(local.to_zoned(zone).unwrap().timestamp().as_millisecond())
}

#[test]
fn the_embedded_files_have_no_fault() {
    for (file, text) in BUILTIN {
        Calendar::empty().merge_toml(file, text).unwrap();
    }
}

#[test]
fn a_cash_day() {
    for (time, phase) in [
        ("08:59:59", "closed"),
        ("09:00:00", "pre_market"),
        ("09:14:59", "pre_market"),
        ("09:15:00", "regular"),
        ("15:29:59", "regular"),
        ("15:30:00", "post_market"),
        ("15:59:59", "post_market"),
        ("16:00:00", "closed"),
    ] {
        for market in [Market::Nse, Market::Bse, Market::NseIndices, Market::BseIndices] {
            assert_eq!(at(market, &format!("2026-11-20T{time}")), phase, "{market} {time}");
        }
    }
}

#[test]
fn rules_that_changed() {
    for (market, time, phase) in [
        // pre-open of futures, not of options, since 8 December 2025
        (Market::NfoFutures, "2025-12-05T09:05:00", "closed"),
        (Market::NfoFutures, "2025-12-08T09:05:00", "pre_market"),
        (Market::NfoOptions, "2025-12-08T09:05:00", "closed"),
        // closing auction of shares with derivatives, since 3 August 2026
        (Market::NseAuction, "2026-07-31T15:20:00", "regular"),
        (Market::NseAuction, "2026-08-03T15:14:59", "regular"),
        (Market::NseAuction, "2026-08-03T15:15:00", "post_market"),
        (Market::BseAuction, "2026-08-03T15:34:00", "post_market"),
        (Market::Nse, "2026-08-03T15:20:00", "regular"),
        // futures and options to 15:40, since the same day
        (Market::NfoOptions, "2026-07-31T15:35:00", "closed"),
        (Market::NfoOptions, "2026-08-03T15:39:59", "regular"),
        (Market::NfoFutures, "2026-08-03T15:39:59", "regular"),
        (Market::Bfo, "2026-08-03T15:40:00", "closed"),
        // the auction after 15:30, futures and options to 15:45, since 7 December 2026
        (Market::NseAuction, "2026-12-04T15:20:00", "post_market"),
        (Market::NseAuction, "2026-12-07T15:29:59", "regular"),
        (Market::NseAuction, "2026-12-07T15:35:00", "post_market"),
        (Market::NfoOptions, "2026-12-04T15:41:00", "closed"),
        (Market::NfoOptions, "2026-12-07T15:44:59", "regular"),
        (Market::NfoFutures, "2026-12-07T15:45:00", "closed"),
        (Market::NfoFutures, "2026-12-07T09:05:00", "pre_market"),
        // the ends of the pre-open stayed when it was reshaped
        (Market::Nse, "2026-09-04T09:00:00", "pre_market"),
        (Market::Nse, "2026-09-07T09:00:00", "pre_market"),
        (Market::Nse, "2026-09-07T09:12:00", "pre_market"),
    ] {
        assert_eq!(at(market, time), phase, "{market} {time}");
    }
}

#[test]
fn currency_and_commodity_days() {
    for (market, time, phase) in [
        (Market::Cds, "2026-11-20T09:00:00", "regular"),
        (Market::Bcd, "2026-11-20T17:00:00", "closed"),
        (Market::Cds, "2026-02-19T10:00:00", "closed"),
        (Market::Nse, "2026-02-19T10:00:00", "regular"),
        // the USA leave daylight saving on 1 November 2026: 23:30 until then, 23:55 after
        (Market::Mcx, "2026-10-30T23:29:59", "regular"),
        (Market::Mcx, "2026-10-30T23:30:00", "closed"),
        (Market::Mcx, "2026-11-02T23:54:59", "regular"),
        (Market::Nco, "2026-11-02T23:55:00", "closed"),
        (Market::Mcx, "2026-03-06T23:40:00", "regular"),
        (Market::Mcx, "2026-03-09T23:40:00", "closed"),
        (Market::McxAgri, "2026-11-20T17:00:00", "closed"),
        (Market::McxAgriLinked, "2026-11-20T20:59:59", "regular"),
        (Market::McxAgriLinked, "2026-11-20T21:00:00", "closed"),
        // holidays of half a day
        (Market::Mcx, "2026-03-03T16:59:59", "closed"),
        (Market::Mcx, "2026-03-03T17:00:00", "regular"),
        (Market::McxAgri, "2026-03-03T17:00:00", "closed"),
        (Market::McxAgriLinked, "2026-03-03T17:00:00", "regular"),
        (Market::Mcx, "2026-01-01T16:00:00", "regular"),
        (Market::Mcx, "2026-01-01T17:00:00", "closed"),
        (Market::Mcx, "2026-01-26T18:00:00", "closed"),
    ] {
        assert_eq!(at(market, time), phase, "{market} {time}");
    }
}

#[test]
fn special_days() {
    for (market, time, phase) in [
        (Market::Nse, "2024-01-20T10:00:00", "regular"), // a Saturday, for the Monday after it
        (Market::NfoOptions, "2024-01-20T15:29:00", "regular"),
        (Market::Cds, "2024-01-20T10:00:00", "closed"),
        (Market::Mcx, "2024-01-20T10:00:00", "closed"),
        (Market::Nse, "2024-01-22T10:00:00", "closed"),
        (Market::Nse, "2024-03-02T10:30:00", "closed"), // a Saturday in two parts
        (Market::Nse, "2024-03-02T11:20:00", "pre_market"),
        (Market::NfoFutures, "2024-05-18T12:00:00", "regular"),
        (Market::Nse, "2023-11-12T18:30:00", "regular"), // Muhurat on a Sunday
        (Market::Bse, "2024-11-01T18:30:00", "regular"),
        (Market::Nse, "2025-02-01T10:00:00", "regular"), // a Saturday, Budget
        (Market::Mcx, "2025-02-01T17:00:00", "closed"),
        (Market::Nse, "2026-02-01T10:00:00", "regular"), // a Sunday, Budget
        (Market::Mcx, "2026-02-01T16:59:00", "regular"),
        (Market::Mcx, "2026-02-01T17:00:00", "closed"),
        (Market::Nse, "2025-10-21T13:30:00", "pre_market"), // Muhurat
        (Market::Nse, "2025-10-21T14:44:59", "regular"),
        (Market::Nse, "2025-10-21T10:00:00", "closed"),
        (Market::NfoOptions, "2025-10-21T13:30:00", "closed"),
        (Market::Cds, "2025-10-21T14:00:00", "regular"),
        (Market::Nse, "2026-11-21T10:00:00", "closed"), // Saturday
        (Market::Nse, "2026-11-08T03:00:00", "regular"), // Muhurat of unknown hours: nothing is called closed
    ] {
        assert_eq!(at(market, time), phase, "{market} {time}");
    }
    let calendar = Calendar::builtin();
    assert!(!calendar.in_session(Market::Nse, moment("2026-11-08T03:00:00")), "unknown hours raise no alarm");
    assert!(calendar.in_session(Market::Nse, moment("2026-11-20T10:00:00")));
    assert!(!calendar.in_session(Market::Nse, moment("2026-11-20T09:05:00")), "the pre-open is not regular");
}

#[test]
fn holidays_of_2026_are_those_that_nse_printed() {
    let printed = [
        (1, 15),
        (1, 26),
        (3, 3),
        (3, 26),
        (3, 31),
        (4, 3),
        (4, 14),
        (5, 1),
        (5, 28),
        (6, 26),
        (9, 14),
        (10, 2),
        (10, 20),
        (11, 10),
        (11, 24),
        (12, 25),
    ];
    let calendar = Calendar::builtin();
    let mut closed = Vec::new();
    let mut date = jiff::civil::date(2026, 1, 1);
    while date.year() == 2026 {
        let weekend = matches!(date.weekday(), jiff::civil::Weekday::Saturday | jiff::civil::Weekday::Sunday);
        let noon = moment(&date.at(12, 0, 0, 0).to_string());
        if !weekend && calendar.session(Market::Nse, noon) == SessionType::Closed {
            closed.push((date.month(), date.day()));
        }
        date = date.tomorrow().unwrap();
    }
    assert_eq!(closed, printed);
    assert!(calendar.lists_year(Market::Nse, 2026) && !calendar.lists_year(Market::Nse, 2027));
}

#[test]
fn seasons_of_mcx_follow_the_clocks_of_new_york() {
    let new_york = jiff::tz::TimeZone::get("America/New_York").unwrap();
    let mut date = jiff::civil::date(2021, 1, 1);
    let calendar = Calendar::builtin();
    while date.year() < 2031 {
        let noon = moment(&date.at(12, 0, 0, 0).to_string());
        let late = moment(&date.at(23, 40, 0, 0).to_string());
        if calendar.session(Market::Mcx, noon) == SessionType::Regular
            && calendar.session(Market::Mcx, moment(&date.at(18, 0, 0, 0).to_string()))
                == SessionType::Regular
        {
            let there = jiff::Timestamp::from_second(late.as_seconds()).unwrap();
            let daylight_saving = new_york.to_offset_info(there).dst().is_dst();
            let open = calendar.session(Market::Mcx, late) == SessionType::Regular;
            let unlisted = calendar.session(Market::Mcx, moment(&date.at(9, 0, 0, 0).to_string()));
            assert_eq!(open, !daylight_saving, "{date} {unlisted}");
        }
        date = date.tomorrow().unwrap();
    }
}

#[test]
fn the_clock_turns_with_the_first_nanosecond_of_a_phase() {
    let calendar = Calendar::builtin();
    let mut clock = crate::SessionClock::new(Arc::clone(&calendar));
    for market in Market::ALL {
        let mut at = moment("2026-11-19T12:00:00");
        for _ in 0..12 {
            let span = calendar.span(market, at);
            let last = span.until.minus(std::time::Duration::from_nanos(1));
            for at in [span.from, last, span.until] {
                assert_eq!(clock.phase(market, at), calendar.session(market, at), "{market} {at}");
            }
            at = span.until;
        }
    }
}

#[test]
fn unknown_hours_are_regular() {
    for (market, time) in [(Market::Other, "2026-11-21T03:00:00"), (Market::Nse, "2015-01-01T03:00:00")] {
        assert_eq!(at(market, time), "regular");
        assert!(!Calendar::builtin().in_session(market, moment(time)));
    }
    let demo = Calendar::always_open();
    for market in Market::ALL {
        assert_eq!(demo.session(market, moment("2026-11-21T03:00:00")), SessionType::Regular);
        assert!(demo.in_session(market, moment("2026-11-21T03:00:00")));
    }
}

#[test]
fn a_file_of_ones_own_is_laid_over() {
    let mut calendar = (*Calendar::builtin()).clone();
    let text = r#"
        format = 1
        markets = ["NSE"]
        [closed]
        "2026-11-20" = "declared yesterday"
        [[special]]
        date = "2026-11-24"
        name = "open after all"
        [[special]]
        date = "2026-11-08"
        name = "Muhurat trading"
        regular = ["18:15-19:15"]
    "#;
    calendar.merge_toml("mine.toml", text).unwrap();
    let phase = |market, time| calendar.session(market, moment(time)).name();
    assert_eq!(phase(Market::Nse, "2026-11-20T10:00:00"), "closed");
    assert_eq!(phase(Market::Bse, "2026-11-20T10:00:00"), "regular");
    assert_eq!(phase(Market::Nse, "2026-11-24T10:00:00"), "regular");
    assert_eq!(phase(Market::Nse, "2026-11-08T03:00:00"), "closed");
    assert_eq!(phase(Market::Nse, "2026-11-08T18:20:00"), "regular");
}

#[test]
fn what_a_file_changes_is_told_and_what_it_repeats_is_not() {
    let text = r#"
        format = 1
        markets = ["NSE", "BSE"]
        [closed]
        "2026-11-24" = "as everybody knows"
        "2026-11-26" = "declared at short notice"
        [[special]]
        date = "2026-11-08"
        name = "Muhurat trading"
        regular = ["18:15-19:15"]
        [[hours]]
        markets = ["BFO"]
        from = "2027-01-04"
        regular = ["09:15-15:30"]
    "#;
    let mut calendar = (*Calendar::builtin()).clone();
    calendar.merge_toml("mine.toml", text).unwrap();
    let changes = calendar.changes_from(&Calendar::builtin());
    let texts: Vec<String> = changes.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "2026-11-08 NSE, BSE (Muhurat trading): hours not known -> regular 18:15-19:15",
            "2026-11-26 NSE, BSE (declared at short notice): pre_market 09:00-09:15, regular 09:15-15:30, \
             post_market 15:30-16:00 -> closed",
            "from 2027-01-04 BFO: regular 09:15-15:45 -> regular 09:15-15:30",
        ]
    );
    let unknown = |calendar: &Calendar| -> Vec<Market> {
        calendar.unknown_from("2026-11-01".parse().unwrap()).remove(0).2
    };
    assert!(unknown(&Calendar::builtin()).contains(&Market::Nse));
    assert!(!unknown(&calendar).contains(&Market::Nse) && unknown(&calendar).contains(&Market::NfoFutures));
    assert!(calendar.changes_from(&calendar).is_empty());
}

#[test]
fn a_day_as_people_read_it() {
    let day = |market, date: &str| Calendar::builtin().day(market, date.parse().unwrap());
    for (market, date, kind, text) in [
        (Market::Nse, "2026-11-21", DayKind::Weekend, "closed"),
        (Market::Nse, "2026-11-24", DayKind::Holiday, "closed"),
        (Market::Mcx, "2026-11-24", DayKind::Partial, "regular 17:00-23:55"),
        (Market::McxAgri, "2026-11-24", DayKind::Holiday, "closed"),
        (Market::Nse, "2026-11-08", DayKind::Unknown, "hours not known"),
        (Market::Other, "2026-11-20", DayKind::Unknown, "hours not known"),
        (Market::NfoFutures, "2026-11-20", DayKind::Ordinary, "pre_market 09:00-09:15, regular 09:15-15:40"),
        (Market::NfoOptions, "2024-03-02", DayKind::Special, "regular 09:15-10:00, regular 11:30-12:30"),
    ] {
        let day = day(market, date);
        assert_eq!((day.kind, day.to_string().as_str()), (kind, text), "{market} {date}");
    }
    assert_eq!(day(Market::Nse, "2026-11-24").name.as_deref(), Some("Guru Nanak Jayanti"));
    assert_eq!(day(Market::Nse, "2026-11-08").trades(), None);
    assert_eq!(Calendar::always_open().day(Market::Nse, "2026-11-21".parse().unwrap()).trades(), Some(true));
}

#[test]
fn holidays_are_listed_to_the_end_of_2026() {
    for market in Market::ALL.into_iter().filter(|market| *market != Market::Other) {
        let years = Calendar::builtin().listed_years(market);
        assert!(years.ends_with(&[2024, 2025, 2026]), "{market}: {years:?}");
    }
    assert_eq!(Calendar::builtin().listed_years(Market::Nse).first(), Some(&2020));
}

#[test]
fn every_fault_is_reported_and_nothing_changed() {
    let text = r#"
        format = 2
        markets = ["NSE", "NYSE"]
        [closed]
        "2026-02-30" = "no such day"
        [[hours]]
        markets = ["NSE"]
        from = "2026-01-01"
        pre_market = ["09:00-09:20"]
        regular = ["09:15-15:30", "25:00-26:00"]
        [[hours.season]]
        days = ["2026-03-02..2026-03-01"]
        [[special]]
        date = "2026-11-08"
        name = "both"
        regular = ["18:00-19:00"]
        hours_unknown = true
    "#;
    let mut calendar = Calendar::empty();
    let error = calendar.merge_toml("mine.toml", text).unwrap_err();
    assert_eq!(error.faults.len(), 7, "{error}");
    for part in
        ["format 2", "NYSE", "2026-02-30", "overlap", "25:00-26:00", "ends before", "calls them unknown"]
    {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    assert!(calendar.markets.iter().all(|days| days.regimes.is_empty() && days.exceptions.is_empty()));
    let typo = "format = 1\nmarkets = []\n[[hours]]\nmarkets = []\nfrom = '2026-01-01'\nregluar = []";
    assert!(calendar.merge_toml("mine.toml", typo).unwrap_err().to_string().contains("regluar"));
}

proptest! {
    #[test]
    fn a_span_holds_its_instant_and_its_phase(
        market in 0..Market::COUNT,
        seconds in 1_577_000_000_i64..1_900_000_000,
        part in 0_f64..1.0,
    ) {
        let calendar = Calendar::builtin();
        let market = Market::ALL[market];
        let at = Timestamp::from_millis(seconds * 1_000);
        let span = calendar.span(market, at);
        prop_assert!(span.from <= at && at < span.until);
        let length = span.until.since(span.from);
        prop_assert!(length.as_secs() <= 86_400);
        let inside = span.from.plus(length.mul_f64(part * 0.999_999));
        prop_assert_eq!(calendar.span(market, inside), span);
    }

    #[test]
    fn the_clock_agrees_with_the_calendar(
        steps in prop::collection::vec((0..Market::COUNT, -40_000_i64..40_000), 1..300),
    ) {
        let calendar = Calendar::builtin();
        let mut clock = crate::SessionClock::new(Arc::clone(&calendar));
        let mut seconds = 1_795_147_200;
        for (market, step) in steps {
            seconds += step;
            let (market, at) = (Market::ALL[market], Timestamp::from_millis(seconds * 1_000));
            prop_assert_eq!(clock.phase(market, at), calendar.session(market, at));
        }
    }

    #[test]
    fn a_day_is_what_its_instants_say(market in 0..Market::COUNT, day in 18_000..21_000_i32, second in 0..86_400_u32) {
        let (calendar, market) = (Calendar::builtin(), Market::ALL[market]);
        let date = jiff::civil::date(1970, 1, 1).saturating_add(jiff::Span::new().days(day));
        let found = calendar.day(market, date);
        let phase = found.phases.iter().find(|phase| (phase.from..phase.until).contains(&second));
        let expected = match found.kind {
            DayKind::Unknown => SessionType::Regular,
            _ => phase.map_or(SessionType::Closed, |phase| phase.phase),
        };
        prop_assert_eq!(calendar.session(market, instant(day, second)), expected);
    }

    #[test]
    fn no_instant_panics(market in 0..Market::COUNT, nanos in any::<i64>()) {
        let at = Timestamp::from_nanos(nanos);
        let mut clock = crate::SessionClock::new(Calendar::builtin());
        let phase = clock.phase(Market::ALL[market], at);
        prop_assert_eq!(phase, Calendar::builtin().session(Market::ALL[market], at));
    }

    #[test]
    fn any_text_is_a_file_or_faults(text in ".{0,200}") {
        drop(Calendar::empty().merge_toml("any", &text));
    }
}
