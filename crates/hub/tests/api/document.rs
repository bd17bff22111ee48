//! The OpenAPI document as a judge: an answer that it does not describe is a fault.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, OnceLock};

use hyper::Method;
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::client::Reply;

/// See the module.
pub struct Document {
    /// As the hub gives it.
    pub root: Value,
    operations: Vec<Operation>,
    /// The same schemas, in which objects have no fields but those that are told.
    strict: Value,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// One method of one path.
#[derive(Clone, Debug)]
pub struct Operation {
    pub id: String,
    pub method: Method,
    pub path: String,
    responses: Value,
}

/// What only the agent of a host can answer: without it these say 503.
const NEEDS_A_HOST: [&str; 2] = ["vm_console", "vm_console_log"];

impl Document {
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Document> = OnceLock::new();
        SHARED.get_or_init(|| Self::new(serde_json::to_value(renkei_hub::api::document()).unwrap()))
    }

    fn new(root: Value) -> Self {
        let mut operations = Vec::new();
        for (path, item) in root["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let Ok(method) = method.to_uppercase().parse::<Method>() else {
                    continue;
                };
                operations.push(Operation {
                    id: operation["operationId"].as_str().unwrap().to_owned(),
                    method,
                    path: path.clone(),
                    responses: operation["responses"].clone(),
                });
            }
        }
        let mut strict = root["components"].clone();
        let schemas = strict["schemas"].as_object_mut().unwrap();
        let parts: BTreeSet<String> = schemas.values().flat_map(parts).collect();
        for (name, schema) in schemas {
            if schema.get("allOf").is_some() {
                // Fields of all its parts together.
                schema["unevaluatedProperties"] = json!(false);
            } else if schema.get("properties").is_some() && !parts.contains(name) {
                schema["additionalProperties"] = json!(false);
            }
        }
        Self {
            root,
            operations,
            strict,
            validators: Mutex::default(),
        }
    }

    /// The ids of all operations.
    pub fn ids(&self) -> BTreeSet<String> {
        self.operations.iter().map(|operation| operation.id.clone()).collect()
    }

    pub fn operation(&self, id: &str) -> &Operation {
        let found = self.operations.iter().find(|operation| operation.id == id);
        found.unwrap_or_else(|| panic!("the document has no operation `{id}`"))
    }

    /// Fails unless the document describes the answer.
    #[track_caller]
    pub fn check(&self, method: &Method, path: &str, reply: &Reply) {
        let path = path.split('?').next().unwrap_or_default();
        if !path.starts_with("/api/v1") {
            return;
        }
        let (asked, status) = (&reply.asked, reply.status);
        let operation = self.asked(method, path);
        if status >= 400 {
            let away = operation.is_some_and(|operation| NEEDS_A_HOST.contains(&operation.id.as_str()));
            assert!(status < 500 || (status == 503 && away), "{asked}: {:?}", reply.body);
            self.check_problem(reply);
        }
        let Some(operation) = operation else {
            assert!(
                [404, 405].contains(&status),
                "{asked}: there is no such operation, yet {status}"
            );
            return;
        };
        let described = &operation.responses[status.to_string()];
        assert!(
            described.is_object(),
            "{asked}: {status} is not in the document: {:?}",
            reply.body
        );
        let Some(content) = described["content"].as_object() else {
            assert!(reply.body.is_empty(), "{asked}: {status} has no body in the document");
            return;
        };
        let kind = reply.header("content-type").split(';').next().unwrap_or_default();
        let schema = content.get(kind).map(|media| &media["schema"]);
        let schema = schema.unwrap_or_else(|| panic!("{asked}: `{kind}` is not in the document"));
        if kind.ends_with("json") {
            self.validate(&format!("{} {status}", operation.id), schema, reply);
        }
    }

    /// What every problem has.
    #[track_caller]
    fn check_problem(&self, reply: &Reply) {
        assert_eq!(
            reply.header("content-type"),
            "application/problem+json",
            "{}",
            reply.asked
        );
        self.validate("problem", &json!({"$ref": "#/components/schemas/Problem"}), reply);
        let problem = reply.json();
        assert_eq!(problem["status"], reply.status, "{}", reply.asked);
        assert_eq!(problem["request"], reply.header("x-request-id"), "{}", reply.asked);
        let known = reply.status == 401;
        assert_eq!(reply.headers.contains_key("www-authenticate"), known, "{}", reply.asked);
    }

    #[track_caller]
    fn validate(&self, name: &str, schema: &Value, reply: &Reply) {
        let validator = {
            let mut validators = self.validators.lock().unwrap();
            let made = validators.entry(name.to_owned()).or_insert_with(|| {
                let mut whole = schema.clone();
                whole["components"] = self.strict.clone();
                let options = jsonschema::draft202012::options().should_validate_formats(true);
                Arc::new(options.build(&whole).unwrap())
            });
            Arc::clone(made)
        };
        let body = reply.json();
        let faults: Vec<String> = validator
            .iter_errors(&body)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(
            faults.is_empty(),
            "{}: {}: {faults:#?} in {body:#}",
            reply.asked,
            reply.status
        );
    }

    /// The operation that a request asks for: words of a path go before parameters.
    fn asked(&self, method: &Method, path: &str) -> Option<&Operation> {
        let fits = |operation: &&Operation| {
            let (words, parts) = (operation.path.split('/'), path.split('/'));
            operation.method == *method
                && words.clone().count() == parts.clone().count()
                && words
                    .zip(parts)
                    .all(|(word, part)| word.starts_with('{') || word == part)
        };
        let parameters = |operation: &&Operation| operation.path.matches('{').count();
        self.operations.iter().filter(fits).min_by_key(parameters)
    }
}

/// The names of the schemas that a schema is put together from.
fn parts(schema: &Value) -> Vec<String> {
    let all = schema["allOf"].as_array().into_iter().flatten();
    all.filter_map(|part| part["$ref"].as_str()?.rsplit('/').next())
        .map(str::to_owned)
        .collect()
}
