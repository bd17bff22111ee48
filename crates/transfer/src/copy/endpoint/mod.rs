//! What source and target are, where things land, and how a file gets its name there.
//!
//! A [`spot::Spot`] is a path below a [`base::Base`], at either side; the rest finds spots, looks at them and
//! tells them apart. No content is moved here.

pub mod base;
pub mod facts;
pub mod landing;
pub mod places;
pub mod publish;
pub mod same;
mod seen;
pub mod sources;
pub mod spot;
