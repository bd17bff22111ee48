//! The API of mdx under `/api`, so that its public client and the scripts written with it work unmodified.
//!
//! Handlers turn its words into calls of [`App`](crate::app::App) and the answers back; they decide nothing. Paths are served
//! with a slash at the end and without one, and nothing is ever redirected: a client would make a GET of its POST. Statuses are
//! exact, since the client takes any other one for an error. What the wire looks like is told in `docs/mdx.md`.

mod acl;
mod answer;
mod asking;
mod dnat;
mod global_ip;
mod operation;
mod project;
mod segment;
mod session;
mod template;
mod user;
mod vm;

use axum::Router;
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get, post, put};
use renkei_types::problem::{Problem, ProblemKind};

use self::answer::Refusal;
use crate::Hub;

/// Everything that is served.
pub(super) fn router() -> Router<Hub> {
    routes().into_iter().fold(Router::new(), |router, (path, methods)| {
        let bare = path.trim_end_matches('/').to_owned();
        router.route(path, methods.clone()).route(&bare, methods)
    })
}

/// Each path as the client sends it, with its slash.
fn routes() -> Vec<(&'static str, MethodRouter<Hub>)> {
    vec![
        ("/api/login/", post(session::login)),
        ("/api/refresh/", post(session::refresh)),
        ("/api/project/assigned/", get(project::assigned)),
        ("/api/project/{project}/summary/", get(project::summary)),
        ("/api/project/{project}/resources/", get(project::resources)),
        (
            "/api/project/{project}/overview/resource/",
            get(project::overview_resource),
        ),
        (
            "/api/project/{project}/overview/resource_list/",
            get(project::resources),
        ),
        ("/api/project/{project}/overview/{what}/", get(project::overview_vm)),
        ("/api/project/{project}/storage/", get(project::storage)),
        ("/api/project/{project}/access_key/", get(project::access_key)),
        ("/api/project/{project}/point/", get(project::point)),
        ("/api/project/{project}/resource_usage/", post(project::resource_usage)),
        ("/api/user/project/{project}/", get(user::list)),
        ("/api/history/project/{project}/", get(operation::of_project)),
        ("/api/history/vm/{vm}/", get(operation::of_vm)),
        ("/api/task/{task}/", get(operation::show)),
        ("/api/catalog/project/{project}/", get(template::list)),
        ("/api/vm/project/{project}/", get(vm::list)),
        ("/api/vm/synchronize/project/{project}/", post(vm::synchronize)),
        ("/api/vm/deploy/", post(vm::deploy)),
        ("/api/vm/{vm}/", get(vm::show)),
        ("/api/vm/{vm}/clone/", post(vm::clone)),
        ("/api/vm/{vm}/destroy/", post(vm::destroy)),
        ("/api/vm/{vm}/power_on/", post(vm::power_on)),
        ("/api/vm/{vm}/power_off/", post(vm::power_off)),
        ("/api/vm/{vm}/shutdown/", post(vm::shutdown)),
        ("/api/vm/{vm}/reboot/", post(vm::reboot)),
        ("/api/vm/{vm}/reset/", post(vm::reset)),
        ("/api/vm/{vm}/reconfigure/", post(vm::reconfigure)),
        ("/api/vm/{vm}/csv/", get(vm::csv)),
        ("/api/segment/project/{project}/all/", get(segment::list)),
        ("/api/segment/{segment}/summary/", get(segment::summary)),
        ("/api/acl/", post(acl::create)),
        ("/api/acl/{acl}/", put(acl::replace).delete(acl::delete)),
        ("/api/acl_v6/", post(acl::create)),
        ("/api/acl_v6/{acl}/", put(acl::replace).delete(acl::delete)),
        ("/api/dnat/", post(dnat::create)),
        ("/api/dnat/{dnat}/", put(dnat::replace).delete(dnat::delete)),
        ("/api/acl/segment/{segment}/", get(acl::list)),
        ("/api/acl_v6/segment/{segment}/", get(acl::list)),
        ("/api/dnat/project/{project}/", get(dnat::list)),
        (
            "/api/global_ip/project/{project}/assignable/",
            get(global_ip::assignable),
        ),
    ]
}

/// Whether a path is in the dialect, known or not.
pub(super) fn has(path: &str) -> bool {
    path.starts_with("/api/") && path != "/api/v1" && !path.starts_with("/api/v1/")
}

pub(super) fn unknown_path() -> Refusal {
    Refusal::nothing()
}

pub(super) fn unknown_method(method: &Method) -> impl IntoResponse {
    let title = format!("Method \"{method}\" not allowed.");
    let refusal = Refusal::from(Problem::new(ProblemKind::MethodNotAllowed, title));
    (StatusCode::METHOD_NOT_ALLOWED, refusal)
}
