//! A plan for people and for programs. No secret is in either.

use serde_json::{Value, json};

use super::super::error::CommandError;
use super::super::table::{RowTone, TableHead, TextTable};
use super::super::terminal::Terminal;
use super::PlanUse;
use portcullis_import::{ImportCall, ImportPlan, PlannedCall, StepStanding};

/// Shows the steps, what differs from the store, and what is in the way.
pub(super) fn plan(plan: &ImportPlan, terminal: &mut Terminal) -> Result<(), CommandError> {
    let mut table = TextTable::new(&["", "STEP"]);
    for planned in &plan.calls {
        let (tone, word) = match planned.standing {
            StepStanding::Made => (RowTone::Faint, "there already"),
            StepStanding::ToMake => (RowTone::Plain, "to do"),
        };
        table.row(tone, [word.to_owned(), step(&planned.call)]);
    }
    if !plan.calls.is_empty() {
        terminal.print(&table.render(TableHead::Hidden, terminal.colour()))?;
    }
    let notes = plan.notes.iter().map(|note| format!("{} {}", note.about, note.text)).collect();
    section("What differs from the store:", notes, terminal)?;
    let faults = plan.faults.iter().map(|fault| format!("{}: {}\n    {}", fault.place, fault.reason, fault.next));
    section("What is in the way:", faults.collect(), terminal)
}

fn section(title: &str, lines: Vec<String>, terminal: &mut Terminal) -> Result<(), CommandError> {
    if lines.is_empty() {
        return Ok(());
    }
    terminal.print(&format!("\n{title}"))?;
    lines.iter().try_for_each(|line| terminal.print(&format!("  {line}")))
}

/// Says what became of the plan.
pub(super) fn outcome(
    plan: &ImportPlan,
    plan_use: PlanUse,
    made: usize,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    match (plan.faults.is_empty(), plan_use, plan.is_made()) {
        (false, ..) => Ok(()),
        (true, _, true) => terminal.print("\nAll of it is there already. The secrets of keys were not compared."),
        (true, PlanUse::Show, false) => terminal.print("\nNothing is changed yet. Add --apply to make these changes."),
        (true, PlanUse::Apply, false) => terminal.print(&format!("\nImported: all {made} steps are made.")),
    }
}

/// The whole for programs.
pub(super) fn as_json(plan: &ImportPlan, plan_use: PlanUse) -> Value {
    let is_applied = plan_use == PlanUse::Apply && plan.faults.is_empty();
    let step = |planned: &PlannedCall| {
        let standing = match (planned.standing, is_applied) {
            (StepStanding::Made, _) => "there already",
            (StepStanding::ToMake, true) => "done",
            (StepStanding::ToMake, false) => "to do",
        };
        json!({ "action": planned.call.action(), "step": step(&planned.call), "standing": standing })
    };
    let note = |note: &portcullis_import::ImportNote| json!({ "about": note.about, "text": note.text });
    let fault = |fault: &portcullis_import::ImportFault| json!({ "place": fault.place, "reason": fault.reason, "next": fault.next });
    json!({
        "applied": is_applied,
        "steps": plan.calls.iter().map(step).collect::<Vec<_>>(),
        "notes": plan.notes.iter().map(note).collect::<Vec<_>>(),
        "faults": plan.faults.iter().map(fault).collect::<Vec<_>>(),
    })
}

/// A call in words.
fn step(call: &ImportCall) -> String {
    match call {
        ImportCall::AddUserToGroup { user, group } => format!("user {user} in group {group}"),
        ImportCall::AttachGroupPolicy { group, policy } => format!("policy {} for group {group}", policy.name()),
        ImportCall::AttachUserPolicy { user, policy } => format!("policy {} for user {user}", policy.name()),
        ImportCall::CreateAccessKey { user, id, .. } => format!("access key {id} of user {user}"),
        ImportCall::CreateGroup { group } => format!("group {group}"),
        ImportCall::CreatePolicy { name, document } => {
            let count = document.statements().len();
            format!("policy {name}, {count} statement{}", if count == 1 { "" } else { "s" })
        }
        ImportCall::CreateUser { user } => format!("user {user}"),
        ImportCall::DeactivateAccessKey { user, id } => format!("access key {id} of user {user} is inactive"),
        ImportCall::PutUserPermissionsBoundary { user, policy } => {
            format!("user {user} may do no more than policy {} allows", policy.name())
        }
        ImportCall::PutUserUpstreamCredentials { user, id, .. } => {
            format!("user {user} acts in the store by its key {id}")
        }
    }
}
