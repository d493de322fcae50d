//! How five ticket systems answer, after their manuals: shapes, status codes, and how each says no.

use serde_json::{Value, json};

use crate::tickets_server::{Heard, Said};
use crate::tickets_systems::{Row, Shelf};

pub type Shape = fn(&mut Shelf, &Heard) -> Said;

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Answers a create: refused, lost, or done.
fn created(shelf: &mut Shelf, row: Row, no: (u16, Value), yes: impl FnOnce(u64) -> Value) -> Said {
    if shelf.refuse > 0 {
        shelf.refuse -= 1;
        return Some(no);
    }
    let number = shelf.add(row);
    if shelf.lose > 0 {
        shelf.lose -= 1;
        return None;
    }
    Some((201, yes(number)))
}

fn basic(heard: &Heard, plain: &str) -> bool {
    // The two credentials of these tests, coded by hand.
    let coded = match plain {
        "robot@example.org:the-token" => "cm9ib3RAZXhhbXBsZS5vcmc6dGhlLXRva2Vu",
        "robot:the-password" => "cm9ib3Q6dGhlLXBhc3N3b3Jk",
        _ => "",
    };
    heard.authorization == format!("Basic {coded}")
}

/// The words of Atlassian's document format, one after the other.
fn words(doc: &Value) -> String {
    match doc {
        Value::Object(all) if all.get("type").is_some_and(|t| t == "text") => text(&all["text"]),
        Value::Object(all) => all.values().map(words).collect(),
        Value::Array(all) => all.iter().map(words).collect(),
        _ => String::new(),
    }
}

pub fn jira(shelf: &mut Shelf, heard: &Heard) -> Said {
    if !basic(heard, "robot@example.org:the-token") {
        return Some((
            401,
            json!({"errorMessages": ["Client must be authenticated to access this resource."], "errors": {}}),
        ));
    }
    let show = |row: &Row| {
        json!({"id": row.number.to_string(), "key": format!("OPS-{}", row.number), "fields": {
            "summary": row.title, "labels": [row.id], "assignee": null, "status": {"id": "3", "name": row.status}}})
    };
    let parts: Vec<&str> = heard.path.trim_start_matches("/rest/api/3/").split('/').collect();
    let line = (heard.method.as_str(), parts.as_slice());
    match line {
        ("GET", ["myself"] | ["project", "OPS"]) => Some((200, json!({}))),
        // The old search is gone.
        (_, ["search"]) => {
            Some((410, json!({"errorMessages": ["The requested API has been removed."], "errors": {}})))
        }
        ("POST", ["search", "jql"]) => {
            let jql = text(&heard.body["jql"]);
            let label = jql.split('"').nth(1).unwrap_or_default();
            let found: Vec<Value> = shelf.rows.iter().filter(|row| row.id == label).map(show).collect();
            Some((200, json!({"issues": found, "isLast": true})))
        }
        ("POST", ["issue"]) => {
            let fields = &heard.body["fields"];
            let row = Row {
                title: text(&fields["summary"]),
                body: words(&fields["description"]),
                id: text(&fields["labels"][0]),
                status: "To Do".into(),
                ..Row::default()
            };
            let no = (
                400,
                json!({"errorMessages": [], "errors": {"summary": "Summary must be less than 255 characters."}}),
            );
            created(
                shelf,
                row,
                no,
                |n| json!({"id": n.to_string(), "key": format!("OPS-{n}"), "self": "https://x"}),
            )
        }
        (method, ["issue", key, rest @ ..]) => {
            let gone = (
                404,
                json!({"errorMessages": ["Issue does not exist or you do not have permission to see it."], "errors": {}}),
            );
            let Some(row) = shelf.row(key) else { return Some(gone) };
            Some(match (method, rest) {
                ("GET", []) => (200, show(row)),
                ("POST", ["comment"]) => {
                    row.comments.push(words(&heard.body["body"]));
                    (201, json!({"id": "10000"}))
                }
                ("GET", ["comment"]) => {
                    let doc = |one: &String| json!({"body": {"type": "doc", "content": [{"type": "paragraph", "content": [{"type": "text", "text": one}]}]}});
                    (
                        200,
                        json!({"startAt": 0, "total": row.comments.len(), "comments": row.comments.iter().map(doc).collect::<Vec<_>>()}),
                    )
                }
                ("GET", ["transitions"]) => {
                    let all = [
                        ("11", "Back to start", "To Do"),
                        ("31", "Finish", "Done"),
                        ("41", "Drop", "Cancelled"),
                    ];
                    let from = row.status.clone();
                    let all = all.iter().filter(|(_, _, to)| *to != from);
                    (
                        200,
                        json!({"transitions": all.map(|(id, name, to)| json!({"id": id, "name": name, "to": {"name": to}})).collect::<Vec<_>>()}),
                    )
                }
                ("POST", ["transitions"]) => match heard.body["transition"]["id"].as_str() {
                    Some("11") => {
                        row.status = "To Do".into();
                        (204, Value::Null)
                    }
                    Some("31") => {
                        row.status = "Done".into();
                        (204, Value::Null)
                    }
                    Some("41") => {
                        row.status = "Cancelled".into();
                        (204, Value::Null)
                    }
                    _ => (
                        400,
                        json!({"errorMessages": ["It seems that you have tried to perform an illegal workflow operation."], "errors": {}}),
                    ),
                },
                _ => (405, json!({})),
            })
        }
        _ => Some((404, json!({}))),
    }
}

pub fn servicenow(shelf: &mut Shelf, heard: &Heard) -> Said {
    let no = |message: &str, detail: &str| json!({"error": {"message": message, "detail": detail}, "status": "failure"});
    if !basic(heard, "robot:the-password") {
        return Some((401, no("User Not Authenticated", "Required to provide Auth information")));
    }
    let show = |row: &Row| {
        json!({"sys_id": format!("9d385017c611228701d22104cc95c{}", row.number), "number": format!("INC00100{}", row.number),
            "short_description": row.title, "state": row.status, "correlation_id": row.id, "assigned_to.name": ""})
    };
    let parts: Vec<&str> = heard.path.trim_start_matches("/api/now/table/").split('/').collect();
    match (heard.method.as_str(), parts.as_slice()) {
        ("GET", ["incident"]) => {
            let query = heard.asked("sysparm_query");
            let id = query
                .strip_prefix("correlation_id=")
                .and_then(|rest| rest.split('^').next())
                .unwrap_or_default();
            let found: Vec<Value> = shelf.rows.iter().filter(|row| row.id == id).map(show).collect();
            Some((200, json!({"result": found})))
        }
        ("GET", ["sys_journal_field"]) => {
            let query = heard.asked("sysparm_query");
            let element =
                query.trim_start_matches("element_id=").split('^').next().unwrap_or_default().to_owned();
            let Some(row) = shelf.row(&element) else { return Some((200, json!({"result": []}))) };
            Some((
                200,
                json!({"result": row.comments.iter().map(|c| json!({"value": c})).collect::<Vec<_>>()}),
            ))
        }
        ("POST", ["incident"]) => {
            let row = Row {
                title: text(&heard.body["short_description"]),
                body: text(&heard.body["description"]),
                id: text(&heard.body["correlation_id"]),
                status: "1".into(),
                ..Row::default()
            };
            let refused =
                no("Operation Failed", "Operation against file 'incident' was aborted by Business Rule 'x'");
            created(
                shelf,
                row,
                (403, refused),
                |n| json!({"result": {"sys_id": format!("9d385017c611228701d22104cc95c{n}"), "number": format!("INC00100{n}")}}),
            )
        }
        (method, ["incident", sys_id]) => {
            let Some(row) = shelf.row(sys_id) else {
                return Some((
                    404,
                    no("No Record found", "Record doesn't exist or ACL restricts the record retrieval"),
                ));
            };
            if method == "PATCH" {
                if let Some(note) = heard.body["work_notes"].as_str() {
                    row.comments.push(note.to_owned());
                }
                if let Some(state) = heard.body["state"].as_str() {
                    // Resolving wants a code; without one a data policy refuses.
                    if matches!(state, "6" | "8") && heard.body["close_code"].as_str().is_none() {
                        return Some((
                            403,
                            no("Operation Failed", "Data Policy Exception: Resolution code is mandatory"),
                        ));
                    }
                    row.status = state.to_owned();
                }
            }
            Some((200, json!({"result": show(row)})))
        }
        _ => Some((400, no("Invalid table", ""))),
    }
}

pub fn zammad(shelf: &mut Shelf, heard: &Heard) -> Said {
    if heard.authorization != "Token token=the-token" {
        return Some((401, json!({"error": "Invalid BasicAuth credentials"})));
    }
    let show = |row: &Row| {
        json!({"id": row.number, "number": format!("820{}", row.number), "title": row.title, "state": row.status,
            "owner": "-", "group": "Hands", "pitlane_id": row.id})
    };
    let parts: Vec<&str> = heard.path.trim_start_matches("/api/v1/").split('/').collect();
    match (heard.method.as_str(), parts.as_slice()) {
        ("GET", ["users", "me"]) => Some((200, json!({"id": 3}))),
        ("GET", ["tickets", "search"]) => {
            let query = heard.asked("query");
            let id = query.split('"').nth(1).unwrap_or_default();
            Some((200, shelf.rows.iter().filter(|row| row.id == id).map(show).collect()))
        }
        ("POST", ["tickets"]) => {
            let row = Row {
                title: text(&heard.body["title"]),
                body: text(&heard.body["article"]["body"]),
                id: text(&heard.body["pitlane_id"]),
                status: "new".into(),
                ..Row::default()
            };
            let why = "No lookup value found for 'group': \"Hands\"";
            created(shelf, row, (422, json!({"error": why, "error_human": why})), |n| json!({"id": n}))
        }
        (method, ["tickets", number]) => {
            let Some(row) = shelf.row(number) else {
                return Some((404, json!({"error": "Couldn't find Ticket with 'id'=1"})));
            };
            if let ("PUT", Some(state)) = (method, heard.body["state"].as_str()) {
                row.status = state.to_owned();
            }
            Some((200, show(row)))
        }
        ("POST", ["ticket_articles"]) => {
            let number = heard.body["ticket_id"].as_u64().expect("a number stays a number").to_string();
            let row = shelf.row(&number).expect("the ticket");
            assert_eq!(heard.body["internal"], true, "a customer would read it");
            row.comments.push(text(&heard.body["body"]));
            Some((201, json!({"id": 9})))
        }
        ("GET", ["ticket_articles", "by_ticket", number]) => {
            let row = shelf.row(number).expect("the ticket");
            Some((200, row.comments.iter().map(|c| json!({"body": c, "internal": true})).collect()))
        }
        _ => Some((404, json!({"error": "No route matches"}))),
    }
}

pub fn glpi(shelf: &mut Shelf, heard: &Heard) -> Said {
    let path = heard.path.trim_start_matches("/apirest.php/");
    if path == "initSession" {
        if heard.authorization != "user_token the-user_token" {
            return Some((401, json!(["ERROR_GLPI_LOGIN_USER_TOKEN", "parameter user_token seems invalid"])));
        }
        shelf.sessions += 1;
        return Some((200, json!({"session_token": "83af7e620c83a50a18d3eac2f6ed05a3ca0bea62"})));
    }
    if heard.session != "83af7e620c83a50a18d3eac2f6ed05a3ca0bea62" {
        return Some((401, json!(["ERROR_SESSION_TOKEN_INVALID", "session_token seems invalid"])));
    }
    let parts: Vec<&str> = path.split('/').collect();
    match (heard.method.as_str(), parts.as_slice()) {
        ("GET", ["killSession"]) => {
            shelf.sessions -= 1;
            Some((200, json!(true)))
        }
        ("GET", ["getActiveProfile"]) => Some((200, json!({"active_profile": {"id": 4}}))),
        ("GET", ["search", "Ticket"]) => {
            let wanted = heard.asked("criteria[0][value]");
            assert_eq!(heard.asked("criteria[0][field]"), "1", "the title is searched");
            let show = |row: &Row| {
                let status: Value = row.status.parse::<u64>().expect("GLPI's are numbers").into();
                json!({"1": row.title, "2": row.number, "12": status})
            };
            let found: Vec<Value> =
                shelf.rows.iter().filter(|r| r.title.contains(&wanted)).map(show).collect();
            // An empty result has no data at all.
            Some(match found.len() {
                0 => (200, json!({"totalcount": 0, "count": 0, "sort": 1, "order": "ASC"})),
                n => (206, json!({"totalcount": n, "count": n, "data": found})),
            })
        }
        ("POST", ["Ticket"]) => {
            let input = &heard.body["input"];
            let row = Row {
                title: text(&input["name"]),
                body: text(&input["content"]),
                status: "1".into(),
                ..Row::default()
            };
            let no = json!(["ERROR_RIGHT_MISSING", "You don't have permission to perform this action."]);
            created(shelf, row, (403, no), |n| json!({"id": n, "message": "Item successfully added"}))
        }
        ("GET", ["Ticket", number, "ITILFollowup"]) => {
            let row = shelf.row(number).expect("the ticket");
            Some((200, row.comments.iter().map(|c| json!({"content": c, "is_private": 1})).collect()))
        }
        ("POST", ["ITILFollowup"]) => {
            let number =
                heard.body["input"]["items_id"].as_u64().expect("a number stays a number").to_string();
            shelf.row(&number).expect("the ticket").comments.push(text(&heard.body["input"]["content"]));
            Some((201, json!({"id": 5, "message": ""})))
        }
        (method, ["Ticket", number]) => {
            let Some(row) = shelf.row(number) else {
                return Some((404, json!(["ERROR_ITEM_NOT_FOUND", "Item not found"])));
            };
            if method == "PUT" {
                row.status = heard.body["input"]["status"].as_u64().expect("a number").to_string();
                return Some((200, json!([{number.to_string(): true, "message": ""}])));
            }
            let status: Value = row.status.parse::<u64>().expect("GLPI's are numbers").into();
            Some((200, json!({"id": row.number, "name": row.title, "status": status, "content": row.body})))
        }
        _ => Some((400, json!(["ERROR_RESOURCE_NOT_FOUND_NOR_COMMONDBTM", "no such resource"]))),
    }
}

pub fn gitlab(shelf: &mut Shelf, heard: &Heard) -> Said {
    if heard.authorization != "the-token" {
        return Some((401, json!({"message": "401 Unauthorized"})));
    }
    let Some(rest) = heard.path.strip_prefix("/api/v4/projects/ops%2Fhands") else {
        return Some((404, json!({"message": "404 Project Not Found"})));
    };
    let show = |row: &Row| {
        json!({"id": 900 + row.number, "iid": row.number, "title": row.title, "state": row.status, "assignee": null,
            "references": {"short": format!("#{}", row.number), "relative": format!("#{}", row.number)}})
    };
    let parts: Vec<&str> = rest.trim_start_matches('/').split('/').collect();
    match (heard.method.as_str(), parts.as_slice()) {
        ("GET", [""]) => Some((200, json!({"path_with_namespace": "ops/hands"}))),
        ("GET", ["issues"]) => {
            let wanted = heard.asked("search");
            Some((200, shelf.rows.iter().filter(|row| row.title.contains(&wanted)).map(show).collect()))
        }
        ("POST", ["issues"]) => {
            let (title, body) = (text(&heard.body["title"]), text(&heard.body["description"]));
            let row = Row { title, body, status: "opened".into(), ..Row::default() };
            let no = json!({"message": {"title": ["is too long (maximum is 255 characters)"]}});
            created(shelf, row, (400, no), |n| json!({"id": 900 + n, "iid": n}))
        }
        (method, ["issues", number, rest @ ..]) => {
            let Some(row) = shelf.row(number) else {
                return Some((404, json!({"message": "404 Not found"})));
            };
            Some(match (method, rest) {
                ("GET", []) => (200, show(row)),
                ("PUT", []) => {
                    row.status = match heard.body["state_event"].as_str() {
                        Some("close") => "closed".to_owned(),
                        Some("reopen") => "opened".to_owned(),
                        _ => return Some((400, json!({"error": "state_event does not have a valid value"}))),
                    };
                    (200, show(row))
                }
                ("POST", ["notes"]) => {
                    row.comments.push(text(&heard.body["body"]));
                    (201, json!({"id": 302, "internal": true}))
                }
                ("GET", ["notes"]) => (200, row.comments.iter().map(|c| json!({"body": c})).collect()),
                _ => (405, json!({"error": "405 Not Allowed"})),
            })
        }
        _ => Some((404, json!({"error": "404 Not Found"}))),
    }
}
