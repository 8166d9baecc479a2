//! Of the web page, of every process, of the simulator.

use super::{Each, From, Metric, counter, gauge, histogram};

const SERVE_ONLY: &[&str] = &["serve"];
const SUPERVISORS: &[&str] = &["up", "demo"];
const SIM: &[&str] = &["sim"];
const CHILD: Each = Each { array: "/processes", label: "stage", value: "/name" };

pub(super) const SERVE: &[Metric] = &[
    gauge("tickhouse_serve_clients", "/live/clients", "Open WebSockets of the page.").of(SERVE_ONLY),
    counter("tickhouse_serve_clients_total", "/live/clients_total", "WebSockets of the page so far.")
        .of(SERVE_ONLY),
    counter(
        "tickhouse_serve_stalled_clients_total",
        "/live/clients_stalled",
        "WebSockets closed because they took nothing.",
    )
    .of(SERVE_ONLY),
    counter("tickhouse_serve_messages_total", "/live/messages", "Messages to browsers.").of(SERVE_ONLY),
    counter("tickhouse_serve_sent_bytes_total", "/live/message_bytes", "Bytes of these.").of(SERVE_ONLY),
    counter("tickhouse_serve_requests_total", "", "Requests of REST, by how they ended.")
        .of(SERVE_ONLY)
        .from(From::ByLabel(
            "reason",
            &[("answered", "/live/answered"), ("failed", "/live/failed"), ("refused", "/live/refused")],
        )),
    histogram(
        "tickhouse_serve_latency_seconds",
        "/histograms/socket_to_browser",
        "From the exchange's socket to the browser's, per quote.",
    )
    .of(SERVE_ONLY),
    counter("tickhouse_serve_pushes_total", "", "Pushes of ticks, by how they ended.").of(SERVE_ONLY).from(
        From::ByLabel(
            "reason",
            &[
                ("accepted", "/requests/accepted"),
                ("refused", "/requests/refused"),
                ("unauthorised", "/requests/unauthorised"),
                ("turned_away", "/requests/turned_away"),
                ("not_journaled", "/requests/not_journaled"),
            ],
        ),
    ),
    counter("tickhouse_serve_pushed_ticks_total", "/requests/ticks", "Ticks of accepted pushes.")
        .of(SERVE_ONLY),
];

pub(super) const PROCESS: &[Metric] = &[
    gauge("tickhouse_build_info", "", "Always 1; its label says the version.")
        .from(From::Info("version", "/version")),
    gauge("process_resident_memory_bytes", "/memory_bytes", "Resident memory."),
    counter("process_cpu_seconds_total", "/cpu_seconds", "Processor time, user and system."),
    gauge("process_start_time_seconds", "/start_seconds", "When the process began, Unix time."),
    gauge("tickhouse_disk_size_bytes", "/disk/bytes", "Size of the disk of the data directory."),
    gauge("tickhouse_disk_free_bytes", "/disk/free_bytes", "Bytes left on it."),
    gauge("tickhouse_supervisor_process_up", "/alive", "Whether a part that the supervisor started runs.")
        .of(SUPERVISORS)
        .each(CHILD),
    counter("tickhouse_supervisor_restarts_total", "/restarts", "Times a part was started again.")
        .of(SUPERVISORS)
        .each(CHILD),
];

pub(super) const SIMULATOR: &[Metric] = &[
    gauge("tickhouse_simulator_connections", "/counters/connections", "Open WebSockets.").of(SIM),
    counter(
        "tickhouse_simulator_accepted_connections_total",
        "/counters/connections_accepted",
        "WebSockets so far.",
    )
    .of(SIM),
    counter(
        "tickhouse_simulator_refused_handshakes_total",
        "/counters/handshakes_refused",
        "Handshakes answered with 403 or 429.",
    )
    .of(SIM),
    counter("tickhouse_simulator_frames_total", "/counters/frames_sent", "Data frames sent.").of(SIM),
    counter("tickhouse_simulator_packets_total", "/counters/packets_sent", "Packets in them.").of(SIM),
    counter("tickhouse_simulator_heartbeats_total", "/counters/heartbeats_sent", "Heartbeats sent.").of(SIM),
    counter("tickhouse_simulator_faults_total", "/counters/faults", "Faults that struck a connection.")
        .of(SIM),
];
