//! Tells of this process by Kubernetes Events on what its pod belongs to, or on the pod, where the settings want that.

use super::check::count;
use crate::cluster::lease::Lead;
use crate::cluster::{Event, Mood, Reporter};
use crate::config::{Problems, Settings};
use crate::daemon;
use crate::login::{Clock, ClusterWay, Environment};

/// Begins to tell, if `settings` want it, and tells from then on when we begin and cease to lead.
pub(super) fn reporter(settings: &Settings, lead: &Lead) -> Option<Reporter> {
    if !settings.pod_events {
        return None;
    }
    let environment = Environment::default();
    let pod = environment.var("POD_NAME").unwrap_or_default();
    let way = ClusterWay::default();
    match Reporter::of_ourselves(way, environment, Clock(daemon::now)) {
        Ok(reporter) => {
            tokio::spawn(tell_of_lead(reporter.clone(), lead.clone(), pod));
            Some(reporter)
        }
        Err(error) => {
            tracing::warn!(%error, "no Events are told of this process");
            None
        }
    }
}

async fn tell_of_lead(reporter: Reporter, mut lead: Lead, pod: String) {
    let mut led = false;
    loop {
        let leads = lead.term().is_some();
        if leads != led {
            let (reason, what) = match leads {
                true => ("Leads", "promotes from now on"),
                false => ("Follows", "promotes no more, and follows whoever does"),
            };
            let note = format!("`{pod}` {what}");
            reporter.of_us(event(Mood::Normal, (reason, "Leading"), note));
            led = leads;
        }
        lead.changed().await;
    }
}

/// Tells that a new configuration is in force.
pub(super) fn tell_taken(reporter: Option<&Reporter>, policies: usize) {
    if let Some(reporter) = reporter {
        let policies = count(policies, "policy", "policies");
        let note = format!("a new configuration is in force, with {policies}");
        reporter.of_us(event(Mood::Normal, ("SettingsTaken", "Reloading"), note));
    }
}

/// Tells that a new configuration is not in force, and why.
pub(super) fn tell_rejected(reporter: Option<&Reporter>, problems: &Problems) {
    if let Some(reporter) = reporter {
        let note =
            format!("the new configuration is invalid; the last good one goes on\n{problems}");
        reporter.of_us(event(
            Mood::Warning,
            ("SettingsRejected", "Reloading"),
            note,
        ));
    }
}

fn event(mood: Mood, (reason, action): (&'static str, &'static str), note: String) -> Event {
    Event {
        mood,
        reason,
        action,
        note,
    }
}
