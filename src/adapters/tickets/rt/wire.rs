//! What Request Tracker's JSON says, read leniently: numbers come as strings, owners as objects, pages as `0.0`.

use serde_json::Value;

/// What we need of a ticket.
#[derive(Debug, PartialEq, Eq)]
pub struct Raw {
    pub number: u64,
    pub subject: String,
    pub status: String,
    /// `None`: nobody has taken it.
    pub owner: Option<String>,
    /// What the correlation field holds.
    pub id: Option<String>,
}

/// A ticket, from a search or from its own page.
pub fn ticket(body: &Value, field: &str) -> Option<Raw> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(n) => Some(n.to_string()),
        _ => None,
    };
    let owner = match &body["Owner"] {
        Value::Object(owner) => owner.get("id").and_then(text),
        other => text(other),
    };
    let fields = body["CustomFields"].as_array();
    let ours = fields.into_iter().flatten().find(|f| f["name"].as_str() == Some(field));
    Some(Raw {
        number: number(&body["id"])?,
        subject: body["Subject"].as_str()?.to_owned(),
        status: body["Status"].as_str()?.to_owned(),
        owner: owner.filter(|who| who != "Nobody" && !who.is_empty()),
        id: ours.and_then(|f| f["values"].get(0)).and_then(text),
    })
}

/// `7` or `"7"`.
pub fn number(value: &Value) -> Option<u64> {
    match value {
        Value::String(digits) => digits.parse().ok(),
        other => other.as_u64(),
    }
}

/// The list of a search.
pub fn items(body: &Value) -> Option<&Vec<Value>> {
    body["items"].as_array()
}

/// Names of the ticket fields of a queue.
pub fn fields_of(queue: &Value) -> Vec<String> {
    let fields = queue["TicketCustomFields"].as_array();
    fields.into_iter().flatten().filter_map(|f| f["name"].as_str()).map(str::to_owned).collect()
}

/// The name of the queue's lifecycle.
pub fn lifecycle_of(queue: &Value) -> Option<String> {
    queue["Lifecycle"].as_str().map(str::to_owned)
}

/// What a ticket can be set to from where it is, as its page offers it.
pub fn ways_on(ticket: &Value) -> Vec<String> {
    let links = ticket["_hyperlinks"].as_array().into_iter().flatten();
    let of_lifecycle = links.filter(|link| link["ref"] == "lifecycle");
    of_lifecycle.filter_map(|link| link["to"].as_str()).map(str::to_owned).collect()
}

/// A text within the quotes of a query: the backslash first.
pub fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_number_is_a_number_however_it_is_written() {
        assert_eq!(number(&json!("17")), Some(17));
        assert_eq!(number(&json!(17)), Some(17));
        assert_eq!(number(&json!("x")), None);
    }

    #[test]
    fn nobody_is_nobody() {
        let body = json!({"id": "1", "Subject": "s", "Status": "open", "Owner": {"id": "Nobody"}, "CustomFields": [
            {"name": "CorrelationId", "values": []}]});
        let raw = ticket(&body, "CorrelationId").expect("a ticket");
        assert_eq!((raw.owner, raw.id), (None, None));
    }

    #[test]
    fn quotes_do_not_end_the_text() {
        assert_eq!(quoted(r"it's \"), r"it\'s \\");
    }
}
