//! Organizations.

use renkei_policy::Resource;
use renkei_types::action::Action;
use renkei_types::freeze::NewFreeze;
use renkei_types::id::OrganizationId;
use renkei_types::name::Name;
use renkei_types::organization::{NewOrganization, Organization, OrganizationPatch};
use renkei_types::page::Page;
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::project::Project;
use uuid::Uuid;

use super::decision::Draft;
use super::list::Paging;
use super::{Answer, App, Asked, Versioned};

const NOUN: &str = OrganizationId::NOUN;

/// What the permission function is told of one.
pub fn resource(organization: &Organization) -> Resource<'_> {
    Resource::Organization(organization.into())
}

impl App {
    /// Those that the caller may see, in the order of their names.
    pub async fn organizations(
        &self,
        asked: &Asked,
        name: Option<&Name>,
        paging: &Paging,
    ) -> Result<Page<Organization>, Problem> {
        let equals = name.map(|name| ("name", name.folded())).into_iter().collect();
        asked.may(Action::OrganizationRead, &Resource::List)?;
        let only = super::list::only(asked.actor()?.organizations(), |id| id.0);
        self.page::<Organization>(paging, Some("name"), equals, only).await
    }

    /// One.
    pub async fn organization(&self, asked: &Asked, id: OrganizationId) -> Result<Versioned<Organization>, Problem> {
        let found = self.get::<Organization>(NOUN, id.0).await?;
        asked.may(Action::OrganizationRead, &resource(&found.value))?;
        Ok(found.into())
    }

    /// Makes one.
    pub async fn create_organization(
        &self,
        asked: &Asked,
        new: NewOrganization,
    ) -> Result<Answer<Versioned<Organization>>, Problem> {
        let answer = async {
            asked.may(Action::OrganizationWrite, &Resource::Hub)?;
            super::text("description", &new.description, 2000)?;
            self.decide(asked, || async {
                self.organization_name_is_free(&new.name, None).await?;
                let organization = Organization {
                    id: OrganizationId(Uuid::now_v7()),
                    name: new.name.clone(),
                    description: new.description.clone(),
                    created: asked.now,
                    freeze: None,
                };
                let mut draft = Draft::new();
                draft.create(&organization);
                Ok(draft.answer(Versioned::first(organization)))
            })
            .await
        };
        asked.told(answer.await)
    }

    /// Changes one.
    pub async fn change_organization(
        &self,
        asked: &Asked,
        id: OrganizationId,
        patch: OrganizationPatch,
    ) -> Result<Answer<Versioned<Organization>>, Problem> {
        let answer = async {
            if let Some(description) = &patch.description {
                super::text("description", description, 2000)?;
            }
            self.decide(asked, || async {
                let old = self.get::<Organization>(NOUN, id.0).await?;
                asked.may(Action::OrganizationWrite, &resource(&old.value))?;
                asked.unchanged(old.version)?;
                if let Some(name) = &patch.name {
                    self.organization_name_is_free(name, Some(id)).await?;
                }
                let patch = patch.clone();
                let new = Organization {
                    name: patch.name.unwrap_or_else(|| old.value.name.clone()),
                    description: patch.description.unwrap_or_else(|| old.value.description.clone()),
                    ..old.value.clone()
                };
                let mut draft = Draft::new();
                draft.change(&old, &new);
                Ok(draft.answer(Versioned::after(&old, new)))
            })
            .await
        };
        asked.told(answer.await)
    }

    /// Deletes one that has no projects.
    pub async fn delete_organization(&self, asked: &Asked, id: OrganizationId) -> Result<Answer<()>, Problem> {
        self.decide(asked, || async {
            let old = self.get::<Organization>(NOUN, id.0).await?;
            asked.may(Action::OrganizationWrite, &resource(&old.value))?;
            asked.unchanged(old.version)?;
            let scan = self
                .store
                .state
                .scan::<Project>("organization", &id.to_string(), None, 1)
                .await;
            if let Some(project) = scan.map_err(|error| super::state(&error))?.first() {
                let problem = Problem::new(
                    ProblemKind::Conflict,
                    format!(
                        "organization `{}` still has project `{}`",
                        old.value.name, project.value.name
                    ),
                );
                return Err(problem.hint("delete its projects first"));
            }
            let mut draft = Draft::new();
            draft.delete(&old);
            Ok(draft.answer(()))
        })
        .await
    }

    /// Freezes one, or lifts its freeze.
    pub async fn freeze_organization(
        &self,
        asked: &Asked,
        id: OrganizationId,
        freeze: Option<NewFreeze>,
    ) -> Result<Answer<Versioned<Organization>>, Problem> {
        let answer = async {
            let freeze = freeze.map(|freeze| super::freeze(asked, freeze)).transpose()?;
            self.decide(asked, || async {
                let old = self.get::<Organization>(NOUN, id.0).await?;
                asked.may(Action::Freeze, &resource(&old.value))?;
                asked.unchanged(old.version)?;
                let new = Organization {
                    freeze: freeze.clone(),
                    ..old.value.clone()
                };
                let mut draft = Draft::new();
                draft.change(&old, &new);
                Ok(draft.answer(Versioned::after(&old, new)))
            })
            .await
        };
        asked.told(answer.await)
    }

    async fn organization_name_is_free(&self, name: &Name, except: Option<OrganizationId>) -> Result<(), Problem> {
        match self.find::<Organization>("name", &name.folded()).await? {
            Some(other) if Some(other.value.id) != except => Err(super::taken(NOUN, name.as_str())),
            _ => Ok(()),
        }
    }
}
