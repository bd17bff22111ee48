//! The native API under `/api/v1`, one file a noun, and in `mdx` that of mdx. Handlers turn HTTP into a call of [`App`] and its answer into HTTP;
//! they decide nothing.

mod acl;
pub(crate) mod agents;
mod answer;
mod asking;
mod console;
mod dnat;
mod docs;
mod event;
mod global_ip;
mod health;
mod host;
mod image;
mod lease;
mod mdx;
mod member;
mod operation;
mod organization;
mod preset;
mod project;
mod quota;
mod reach;
mod request_id;
mod segment;
mod session;
mod site;
mod template;
mod token;
mod user;
mod vm;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use renkei_types::problem::{Problem, ProblemKind};
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::answer::Failure;
use crate::Hub;

/// The most bytes that a request may have.
const LARGEST_BODY: usize = 1024 * 1024;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Renkei",
        description = "The native API of a Renkei hub. Every change can be asked for as a plan with `?plan=true`; \
            every create takes an `Idempotency-Key`, every change an `If-Match` with the `ETag` that was seen.",
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT"),
    ),
    security(("token" = [])),
    modifiers(&Token),
)]
struct Document;

/// How a caller says who it is.
struct Token;

impl utoipa::Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

fn described() -> OpenApiRouter<Hub> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(session::create))
        .routes(routes!(session::delete))
        .routes(routes!(session::whoami))
        .routes(routes!(organization::list, organization::create))
        .routes(routes!(organization::show, organization::change, organization::delete))
        .routes(routes!(organization::freeze, organization::thaw))
        .routes(routes!(project::list, project::create))
        .routes(routes!(project::show, project::change, project::delete))
        .routes(routes!(project::freeze, project::thaw))
        .routes(routes!(member::list))
        .routes(routes!(member::show, member::set, member::delete))
        .routes(routes!(quota::list))
        .routes(routes!(quota::show, quota::set, quota::delete))
        .routes(routes!(user::list, user::create))
        .routes(routes!(user::named))
        .routes(routes!(user::show, user::change, user::delete))
        .routes(routes!(user::password))
        .routes(routes!(user::freeze, user::thaw))
        .routes(routes!(token::list, token::create))
        .routes(routes!(token::show, token::delete))
        .routes(routes!(token::freeze, token::thaw))
        .routes(routes!(site::list, site::create))
        .routes(routes!(site::show, site::change, site::delete))
        .routes(routes!(segment::list, segment::create))
        .routes(routes!(segment::show, segment::change, segment::delete))
        .routes(routes!(lease::list, lease::create))
        .routes(routes!(lease::show, lease::delete))
        .routes(routes!(acl::list, acl::create))
        .routes(routes!(acl::list_of_project))
        .routes(routes!(acl::audit))
        .routes(routes!(acl::show, acl::replace, acl::delete))
        .routes(routes!(dnat::list, dnat::create))
        .routes(routes!(dnat::show, dnat::replace, dnat::delete))
        .routes(routes!(global_ip::list_of_site, global_ip::add))
        .routes(routes!(global_ip::show, global_ip::remove))
        .routes(routes!(global_ip::list, global_ip::take))
        .routes(routes!(global_ip::give_back))
        .routes(routes!(host::list))
        .routes(routes!(host::show, host::change, host::delete))
        .routes(routes!(host::unknown))
        .routes(routes!(host::adopt, host::destroy))
        .routes(routes!(template::list, template::create))
        .routes(routes!(template::show, template::change, template::delete))
        .routes(routes!(template::publish, template::unpublish))
        .routes(routes!(preset::list, preset::create))
        .routes(routes!(preset::show, preset::change, preset::delete))
        .routes(routes!(image::list))
        .routes(routes!(image::show, image::delete))
        .routes(routes!(site::invite))
        .routes(routes!(site::recovery))
        .routes(routes!(site::recovered))
        .routes(routes!(operation::list))
        .routes(routes!(operation::show))
        .routes(routes!(operation::cancel))
        .routes(routes!(vm::list, vm::deploy))
        .routes(routes!(vm::show, vm::change, vm::destroy))
        .routes(routes!(vm::clone))
        .routes(routes!(vm::save))
        .routes(routes!(vm::power_on))
        .routes(routes!(vm::shutdown))
        .routes(routes!(vm::power_off))
        .routes(routes!(vm::reboot))
        .routes(routes!(vm::reset))
        .routes(routes!(vm::suspend))
        .routes(routes!(vm::resume))
        .routes(routes!(vm::freeze, vm::thaw))
        .routes(routes!(reach::show))
        .routes(routes!(console::open))
        .routes(routes!(console::log))
        .routes(routes!(event::list))
        .routes(routes!(event::stream))
        .routes(routes!(event::head))
        .routes(routes!(event::verify))
}

/// The OpenAPI document of everything under `/api/v1`.
pub fn document() -> utoipa::openapi::OpenApi {
    described().to_openapi()
}

/// Everything that the hub answers.
pub fn router(hub: Hub) -> Router {
    let (api, document) = described().split_for_parts();
    api.merge(health::router())
        .merge(docs::router(&document))
        .merge(mdx::router())
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(axum::middleware::from_fn_with_state(hub.clone(), health::schema))
        .layer(axum::middleware::from_fn_with_state(hub.clone(), request_id::layer))
        .with_state(hub)
}

async fn unknown_path(uri: axum::http::Uri) -> Response {
    if mdx::has(uri.path()) {
        return mdx::unknown_path().into_response();
    }
    let problem = Problem::new(ProblemKind::NotFound, format!("there is nothing at `{}`", uri.path()));
    Failure::from(problem.hint("`/docs` lists what there is")).into_response()
}

async fn unknown_method(method: Method, uri: axum::http::Uri) -> Response {
    if mdx::has(uri.path()) {
        return mdx::unknown_method(&method).into_response();
    }
    let title = format!("`{}` knows no {method}", uri.path());
    let problem = Problem::new(ProblemKind::MethodNotAllowed, title).hint("`/docs` lists what there is");
    (StatusCode::METHOD_NOT_ALLOWED, Failure::from(problem)).into_response()
}
