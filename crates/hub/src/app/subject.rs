//! What the audit and a plan tell of a noun: its name, where it belongs, and what of it may be shown.

use renkei_store::Noun;
use renkei_store::noun::quota::QuotaRow;
use renkei_store::noun::token::Credential;
use renkei_store::noun::user::Account;
use renkei_store::noun::vm::VmRow;
use renkei_types::host::Host;
use renkei_types::id::{HostId, ImageId, OrganizationId, PresetId, ProjectId, TemplateId, VmId};
use renkei_types::image::Image;
use renkei_types::member::Member;
use renkei_types::organization::Organization;
use renkei_types::preset::Preset;
use renkei_types::project::Project;
use renkei_types::site::Site;
use renkei_types::template::Template;
use serde::Serialize;
use serde_json::Value;

/// A noun that people change.
pub trait Subject: Noun {
    /// Its word.
    const NOUN: &'static str;

    /// What people call it.
    fn name(&self) -> String;

    /// Everything but secrets.
    fn shown(&self) -> Value;

    /// The project that it is in.
    fn project(&self) -> Option<ProjectId> {
        None
    }

    /// The organization that it is in.
    fn organization(&self) -> Option<OrganizationId> {
        None
    }
}

/// Our own types always have a form in JSON.
pub(super) fn json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

impl Subject for Organization {
    const NOUN: &'static str = "organization";

    fn name(&self) -> String {
        self.name.to_string()
    }

    fn shown(&self) -> Value {
        json(self)
    }

    fn organization(&self) -> Option<OrganizationId> {
        Some(self.id)
    }
}

impl Subject for Project {
    const NOUN: &'static str = "project";

    fn name(&self) -> String {
        self.name.to_string()
    }

    fn shown(&self) -> Value {
        json(self)
    }

    fn project(&self) -> Option<ProjectId> {
        Some(self.id)
    }

    fn organization(&self) -> Option<OrganizationId> {
        Some(self.organization)
    }
}

impl Subject for Member {
    const NOUN: &'static str = "member";

    fn name(&self) -> String {
        self.user_name.to_string()
    }

    fn shown(&self) -> Value {
        json(self)
    }

    fn project(&self) -> Option<ProjectId> {
        Some(self.project)
    }
}

impl Subject for QuotaRow {
    const NOUN: &'static str = "quota";

    /// One that was set before it had a name is called by its site.
    fn name(&self) -> String {
        match self.called.as_str() {
            "" => self.site.to_string(),
            called => called.to_owned(),
        }
    }

    fn shown(&self) -> Value {
        let mut shown = json(self);
        if let Some(fields) = shown.as_object_mut() {
            // It is no field of a quota, only its name.
            fields.remove("called");
        }
        shown
    }

    fn project(&self) -> Option<ProjectId> {
        Some(self.project)
    }
}

impl Subject for Site {
    const NOUN: &'static str = "site";

    fn name(&self) -> String {
        self.name.to_string()
    }

    fn shown(&self) -> Value {
        json(self)
    }
}

impl Subject for Account {
    const NOUN: &'static str = "user";

    fn name(&self) -> String {
        self.user.name.to_string()
    }

    fn shown(&self) -> Value {
        json(&self.user)
    }
}

impl Subject for Credential {
    const NOUN: &'static str = "token";

    fn name(&self) -> String {
        self.token.name.to_string()
    }

    fn shown(&self) -> Value {
        json(&self.token)
    }

    fn project(&self) -> Option<ProjectId> {
        self.token.project
    }
}

impl Subject for Template {
    const NOUN: &'static str = TemplateId::NOUN;

    fn name(&self) -> String {
        self.template_name.to_string()
    }

    fn shown(&self) -> Value {
        json(self)
    }

    fn project(&self) -> Option<ProjectId> {
        self.project
    }
}

impl Subject for Preset {
    const NOUN: &'static str = PresetId::NOUN;

    fn name(&self) -> String {
        self.name.to_string()
    }

    fn shown(&self) -> Value {
        json(self)
    }
}

impl Subject for Image {
    const NOUN: &'static str = ImageId::NOUN;

    fn name(&self) -> String {
        self.name.to_string()
    }

    fn shown(&self) -> Value {
        json(self)
    }

    fn project(&self) -> Option<ProjectId> {
        Some(self.project)
    }
}

impl Subject for Host {
    const NOUN: &'static str = HostId::NOUN;

    fn name(&self) -> String {
        self.name.to_string()
    }

    fn shown(&self) -> Value {
        json(self)
    }
}

impl Subject for VmRow {
    const NOUN: &'static str = VmId::NOUN;

    fn name(&self) -> String {
        self.vm.name.to_string()
    }

    /// What waits for room was asked for as well.
    fn shown(&self) -> Value {
        let mut vm = self.vm.clone();
        if let Some(placing) = &self.placing {
            vm.meant = placing.meant.clone();
        }
        json(&vm)
    }

    fn project(&self) -> Option<ProjectId> {
        Some(self.vm.project)
    }
}
