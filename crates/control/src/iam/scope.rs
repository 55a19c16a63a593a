//! Which account is asked, and where.

use portcullis_base::names::AccountId;
use portcullis_http::Transport;
use portcullis_mfa::CodeDigits;

/// Where IAM is asked. On the admin socket root is the owner of the machine; on the port it is the
/// holder of a key of root's, which may have been stolen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IamChannel {
    AdminSocket,
    Port,
}

/// What a form is read by, beside itself.
#[derive(Clone, Copy, Debug)]
pub struct IamScope<'a> {
    pub account: &'a AccountId,
    pub channel: IamChannel,
    /// How long the codes of a new device are where the form does not say.
    pub digits: CodeDigits,
}

impl IamChannel {
    /// The channel of what travelled in this way.
    pub fn of(transport: Transport) -> Self {
        match transport {
            Transport::AdminSocket => Self::AdminSocket,
            Transport::Loopback | Transport::Plain | Transport::Tls => Self::Port,
        }
    }
}
