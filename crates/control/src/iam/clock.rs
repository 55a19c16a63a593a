//! The actions on the clock that codes go by.

use serde_json::json;

use super::answer::AnswerContent;
use super::perform::ActionPerformance;
use super::refused::IamError;
use super::xml::ElementWriter;
use portcullis_base::clock::ClockDisagreement;

impl ActionPerformance<'_> {
    pub(super) fn clock(self) -> ElementWriter {
        told(self.state.clock_disagreement().as_ref(), self.now.iso_extended())
    }

    /// Accepts the clock as it is; the time that was expected is in the answer and in the record.
    pub(super) async fn accept_clock(self) -> Result<AnswerContent, IamError> {
        let accepted = self.state.accept_clock().await.map_err(|error| IamError::store(error, "the clock"))?;
        let result = told(accepted.as_ref(), self.now.iso_extended());
        Ok(match accepted {
            Some(ClockDisagreement { wall, expected }) => {
                let clock = json!({ "time": wall.iso_extended(), "expectedTime": expected.iso_extended() });
                AnswerContent::recorded(result, "clock", clock)
            }
            None => AnswerContent::shown(result),
        })
    }
}

/// `ExpectedTime` is there only where it is another one.
fn told(disagreement: Option<&ClockDisagreement>, now: String) -> ElementWriter {
    let result = ElementWriter::new("Result");
    let clock = match disagreement {
        Some(ClockDisagreement { wall, expected }) => ElementWriter::new("Clock")
            .text("Time", &wall.iso_extended())
            .text("ExpectedTime", &expected.iso_extended()),
        None => ElementWriter::new("Clock").text("Time", &now),
    };
    result.child(clock)
}
