//! `/docs`: the OpenAPI document for people, from files that are in the binary.

use axum::Router;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::SwaggerUi;

use crate::Hub;

pub(super) fn router(document: &OpenApi) -> Router<Hub> {
    SwaggerUi::new("/docs")
        .url("/api/v1/openapi.json", document.clone())
        .into()
}
