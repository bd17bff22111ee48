//! Counters for Prometheus.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Upper ends of the classes of time, seconds.
const CLASSES: [f64; 10] = [0.001, 0.003, 0.01, 0.02, 0.05, 0.1, 0.3, 1.0, 3.0, 10.0];

/// See the module. Clones count together.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    requests: Family<Served, Counter>,
    seconds: Histogram,
    connections: Gauge,
    turned_away: Counter,
    /// Agents that are connected.
    pub agents: Gauge,
    /// Consoles that are open.
    pub consoles: Gauge,
    /// Manifests that were sent to agents.
    pub manifests: Counter,
    /// Reports that agents have sent.
    pub reports: Counter,
}

/// A connection that is counted until this is dropped.
pub struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A request that was served.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Served {
    /// The method.
    pub method: String,
    /// The path's template.
    pub path: String,
    /// The status.
    pub status: u16,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("renkei");
        let requests = Family::default();
        let seconds = Histogram::new(CLASSES);
        registry.register("requests", "Requests served", requests.clone());
        registry.register_with_unit("request", "Time to serve a request", Unit::Seconds, seconds.clone());
        let (connections, turned_away) = (Gauge::default(), Counter::default());
        registry.register("connections", "Connections that are open", connections.clone());
        let told = "Connections turned away because too many came from one address";
        registry.register("connections_turned_away", told, turned_away.clone());
        let (agents, manifests, reports) = (Gauge::default(), Counter::default(), Counter::default());
        registry.register("agents", "Agents that are connected to this hub", agents.clone());
        let consoles = Gauge::default();
        registry.register("consoles", "Consoles that are open at this hub", consoles.clone());
        registry.register("manifests", "Manifests sent to agents", manifests.clone());
        registry.register("reports", "Reports heard of agents", reports.clone());
        Self {
            registry: Arc::new(registry),
            requests,
            seconds,
            connections,
            turned_away,
            agents,
            consoles,
            manifests,
            reports,
        }
    }
}

impl Metrics {
    /// Counts a request.
    pub fn served(&self, served: Served, elapsed: Duration) {
        self.requests.get_or_create(&served).inc();
        self.seconds.observe(elapsed.as_secs_f64());
    }

    /// Counts a connection as long as what this gives is there.
    pub fn connection(&self) -> OpenConnection {
        self.connections.inc();
        OpenConnection(self.connections.clone())
    }

    /// Connections that are open.
    pub fn connections(&self) -> i64 {
        self.connections.get()
    }

    /// Counts a connection that was one too many.
    pub fn turned_away(&self) {
        self.turned_away.inc();
    }

    /// In the text format of OpenMetrics.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if let Err(error) = encode(&mut text, &self.registry) {
            let _ = writeln!(text, "# {error}");
        }
        text
    }
}
