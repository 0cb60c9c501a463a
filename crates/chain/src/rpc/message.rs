//! JSON-RPC 2.0 as bytes: requests out, and back in whatever a stranger's server sends.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::rpc::fault::{ErrorObject, RpcFault};

/// A result as it stands in the body, or the server's error.
pub(crate) type Answered = Result<Box<RawValue>, ErrorObject>;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default)]
    id: Value,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<AnswerError>,
}

#[derive(Deserialize)]
struct AnswerError {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
    #[serde(default)]
    data: Option<Value>,
}

/// One request.
pub(crate) fn single(id: u64, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

/// One request per element, with ids from `first` on.
pub(crate) fn batch(first: u64, method: &str, params: &[Value]) -> Value {
    (first..).zip(params).map(|(id, params)| single(id, method, params)).collect()
}

/// The answer to the request of this id. An error object counts whatever id it carries: a server
/// that could not read a request cannot name it.
pub(crate) fn parse(body: &[u8], id: u64) -> Result<Answered, RpcFault> {
    let (found, answer) = envelope(body)?;
    if answer.is_ok() && found != json!(id) {
        return Err(RpcFault::Garbled("answer is to another request"));
    }
    Ok(answer)
}

/// The answers to a batch of `count` requests with ids from `first` on, in the order of the
/// requests. `None` where there is no answer, or more than one that differ: nobody can say then
/// which is meant.
///
/// # Errors
/// [`RpcFault::BatchRefused`] if it is no array of answers at all.
pub(crate) fn parse_batch(
    body: &[u8],
    first: u64,
    count: usize,
    method: &str,
) -> Result<Vec<Option<Answered>>, RpcFault> {
    let Ok(entries) = serde_json::from_slice::<Vec<&RawValue>>(body) else {
        return Err(match envelope(body) {
            Ok((_, Err(error))) if !error.is_about_batches() => match error.into_fault(method) {
                limited @ RpcFault::RateLimited(_) => limited,
                _ => RpcFault::BatchRefused,
            },
            _ => RpcFault::BatchRefused,
        });
    };
    let mut answers: Vec<Option<Answered>> = Vec::new();
    answers.resize_with(count, || None);
    let mut texts: Vec<Option<&str>> = vec![None; count];
    for entry in entries {
        let Ok((id, answer)) = envelope(entry.get().as_bytes()) else { continue };
        let index = id.as_u64().and_then(|id| usize::try_from(id.checked_sub(first)?).ok());
        let Some(index) = index.filter(|index| *index < count) else { continue };
        let (Some(place), Some(text)) = (answers.get_mut(index), texts.get_mut(index)) else {
            continue;
        };
        match text {
            None => (*place, *text) = (Some(answer), Some(entry.get())),
            Some(before) if *before == entry.get() => {}
            Some(_) => *place = None,
        }
    }
    Ok(answers)
}

fn envelope(body: &[u8]) -> Result<(Value, Answered), RpcFault> {
    let answer: Envelope<'_> =
        serde_json::from_slice(body).map_err(|_| RpcFault::Garbled("answer is not JSON-RPC"))?;
    if let Some(AnswerError { code, message, data }) = answer.error {
        return Ok((answer.id, Err(ErrorObject { code, message, data })));
    }
    let result = match answer.result {
        Some(result) => result.to_owned(),
        // An `Option` swallows a `null` result; a body without the member is no answer.
        None if has_member(body, "result") => RawValue::NULL.to_owned(),
        None => return Err(RpcFault::Garbled("answer has neither result nor error")),
    };
    Ok((answer.id, Ok(result)))
}

fn has_member(body: &[u8], name: &str) -> bool {
    serde_json::from_slice::<Value>(body).is_ok_and(|answer| answer.get(name).is_some())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids(answers: &[Option<Answered>]) -> Vec<Option<String>> {
        let text = |answer: &Option<Answered>| Some(answer.as_ref()?.as_ref().ok()?.to_string());
        answers.iter().map(text).collect()
    }

    #[test]
    fn null_is_an_answer_and_an_absent_result_is_none() {
        let null = parse(br#"{"jsonrpc":"2.0","id":4,"result":null}"#, 4).unwrap().unwrap();
        assert_eq!(null.get(), "null");
        assert!(matches!(parse(br#"{"jsonrpc":"2.0","id":4}"#, 4), Err(RpcFault::Garbled(_))));
        assert!(matches!(parse(b"<html>busy</html>", 4), Err(RpcFault::Garbled(_))));
        assert!(matches!(parse(br#"{"id":3,"result":1}"#, 4), Err(RpcFault::Garbled(_))));
        let error = parse(br#"{"id":null,"error":{"code":-32700}}"#, 4).unwrap().unwrap_err();
        assert_eq!(error.code, -32700);
    }

    #[test]
    fn a_batch_is_put_in_order_and_doubtful_entries_are_left_out() {
        let body = br#"[{"id":7,"result":"c"},{"id":5,"result":"a"},{"id":9,"result":"x"},
            {"id":8,"result":1},{"id":8,"result":2},{"id":5,"result":"a"},{"id":"6","result":0}, 4]"#;
        let answers = parse_batch(body, 5, 4, "eth_call").unwrap();
        let (a, c) = (Some("\"a\"".to_owned()), Some("\"c\"".to_owned()));
        assert_eq!(ids(&answers), [a, None, c, None]);
        let three = br#"[{"id":5,"result":1},{"id":5,"result":2},{"id":5,"result":1}]"#;
        assert_eq!(ids(&parse_batch(three, 5, 1, "eth_call").unwrap()), [None]);
    }

    #[test]
    fn what_is_no_array_refuses_the_batch_unless_it_speaks_of_rates() {
        let check = |body: &str| parse_batch(body.as_bytes(), 1, 2, "eth_call").map(|_| ());
        assert_eq!(
            check(r#"{"id":null,"error":{"code":-32600,"message":"no"}}"#),
            Err(RpcFault::BatchRefused)
        );
        assert_eq!(
            check(r#"{"error":{"code":-32005,"message":"batch of 2 is too large"}}"#),
            Err(RpcFault::BatchRefused)
        );
        assert_eq!(
            check(r#"{"error":{"code":-32005,"message":"slow down"}}"#),
            Err(RpcFault::RateLimited(None))
        );
        assert_eq!(check("<html>"), Err(RpcFault::BatchRefused));
        assert_eq!(check(r#"[{"id":1,"resu"#), Err(RpcFault::BatchRefused));
        assert_eq!(check("[]"), Ok(()));
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&body, 1);
            let _ = parse_batch(&body, 1, 3, "eth_getLogs");
        }

        #[test]
        fn almost_json_never_panics(body in r#"[\[\]{}":,a-e0-9 ]{0,40}(id|result|error|null|-32005)[\[\]{}":,0-9]{0,40}"#) {
            let _ = parse(body.as_bytes(), 1);
            let _ = parse_batch(body.as_bytes(), 1, 3, "eth_getLogs");
        }

        #[test]
        fn a_shuffled_batch_is_the_same_batch(order in Just((0_u64..20).collect::<Vec<_>>()).prop_shuffle(), first in 0_u64..1_000_000) {
            let entries: Vec<_> = order.iter().map(|n| json!({ "id": first + n, "result": n })).collect();
            let answers = parse_batch(json!(entries).to_string().as_bytes(), first, 20, "m").unwrap();
            let expected: Vec<_> = (0..20).map(|n: u64| Some(n.to_string())).collect();
            prop_assert_eq!(ids(&answers), expected);
        }

        #[test]
        fn a_cut_answer_is_no_answer(cut in 0_usize..52) {
            let body = br#"{"jsonrpc":"2.0","id":1,"result":{"number":"0x1234"}}"#;
            prop_assert!(parse(&body[..cut], 1).is_err());
        }
    }
}
