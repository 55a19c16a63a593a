//! The table as a text: a change to it is reviewed as a change to this.

use std::fmt::Write as _;

use super::*;

#[test]
fn the_table_has_these_rows() {
    let mut text = String::new();
    for row in Action::ALL.iter().map(|action| action.row()) {
        let body = match row.body {
            Body::Document(grammar) => format!("{} up to {}", grammar.root, grammar.limit),
            Body::Nothing => "no body".to_owned(),
            Body::OptionalDocument(grammar) => format!("perhaps {} up to {}", grammar.root, grammar.limit),
            Body::Payload => "payload".to_owned(),
            Body::Policy => "policy".to_owned(),
        };
        let harm = match row.harm {
            Harm::Always(hazard) => format!("{hazard:?}"),
            Harm::AsDocument | Harm::Deletes | Harm::DeletesMany | Harm::Replaces => format!("{:?}", row.harm),
        };
        writeln!(text, "{}{}", row.name, row.alias.map(|alias| format!(" ({alias})")).unwrap_or_default())
            .expect("text");
        writeln!(text, "  {} {:?} {:?}", row.method.as_str(), row.level, row.marks).expect("text");
        writeln!(text, "  {harm}; {body}; {:?}", row.support).expect("text");
        writeln!(text, "  {} {:?} {:?}", row.event, row.category, row.access).expect("text");
        if !row.query.is_empty() {
            writeln!(text, "  query {}", row.query.concat().join(" ")).expect("text");
        }
        if !row.headers.is_empty() {
            writeln!(text, "  headers {}", row.headers.concat().join(" ")).expect("text");
        }
    }
    insta::assert_snapshot!(text);
}
