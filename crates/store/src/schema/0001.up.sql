-- {key}: a text that is compared byte by byte. {serial}: a 64-bit number that is the key. {bytes}: bytes.

CREATE TABLE organization (id UUID PRIMARY KEY, version BIGINT NOT NULL, name {key}, body TEXT NOT NULL);
CREATE UNIQUE INDEX organization_name ON organization (name);

CREATE TABLE project (id UUID PRIMARY KEY, version BIGINT NOT NULL, name {key}, organization {key}, body TEXT NOT NULL);
CREATE UNIQUE INDEX project_name ON project (name);
CREATE INDEX project_organization ON project (organization, id);

CREATE TABLE site (id UUID PRIMARY KEY, version BIGINT NOT NULL, name {key}, body TEXT NOT NULL);
CREATE UNIQUE INDEX site_name ON site (name);

CREATE TABLE "user" (id UUID PRIMARY KEY, version BIGINT NOT NULL, name {key}, body TEXT NOT NULL);
CREATE UNIQUE INDEX user_name ON "user" (name);

CREATE TABLE token (id UUID PRIMARY KEY, version BIGINT NOT NULL, secret_hash {key}, "user" {key}, body TEXT NOT NULL);
CREATE UNIQUE INDEX token_secret_hash ON token (secret_hash);
CREATE INDEX token_user ON token ("user", id);

CREATE TABLE member (
    id UUID PRIMARY KEY, version BIGINT NOT NULL, project {key}, "user" {key}, pair {key}, body TEXT NOT NULL
);
CREATE UNIQUE INDEX member_pair ON member (pair);
CREATE INDEX member_project ON member (project, id);
CREATE INDEX member_user ON member ("user", id);

CREATE TABLE quota (
    id UUID PRIMARY KEY, version BIGINT NOT NULL, project {key}, site {key}, pair {key}, body TEXT NOT NULL
);
CREATE UNIQUE INDEX quota_pair ON quota (pair);
CREATE INDEX quota_project ON quota (project, id);
CREATE INDEX quota_site ON quota (site, id);

CREATE TABLE operation (
    id UUID PRIMARY KEY, version BIGINT NOT NULL, object {key}, project {key}, state {key}, body TEXT NOT NULL
);
CREATE INDEX operation_object ON operation (object, id);
CREATE INDEX operation_project ON operation (project, id);
CREATE INDEX operation_state ON operation (state, id);

CREATE TABLE attempt (id UUID PRIMARY KEY, version BIGINT NOT NULL, "of" {key}, body TEXT NOT NULL);
CREATE UNIQUE INDEX attempt_of ON attempt ("of");

CREATE TABLE idempotency (id UUID PRIMARY KEY, version BIGINT NOT NULL, "key" {key}, body TEXT NOT NULL);
CREATE UNIQUE INDEX idempotency_key ON idempotency ("key");

CREATE TABLE duty (id UUID PRIMARY KEY, version BIGINT NOT NULL, name {key}, body TEXT NOT NULL);
CREATE UNIQUE INDEX duty_name ON duty (name);

-- Numbered without a gap from 1 in the order of commits: `hub.events` is the last number.
CREATE TABLE event (
    id {serial}, noun {key} NOT NULL, object UUID NOT NULL, project UUID, "user" UUID, body TEXT NOT NULL
);
CREATE INDEX event_project ON event (project, id);
CREATE INDEX event_object ON event (object, id);
CREATE INDEX event_noun ON event (noun, id);
CREATE INDEX event_user ON event ("user", id);

-- The chain over the events: each hash covers the one before and the event's body. `at` is in milliseconds since 1970.
CREATE TABLE link (id {serial}, hash {bytes} NOT NULL, at BIGINT NOT NULL);

-- Transactions of the last day, so that whoever lost the answer to COMMIT can ask. `at` is in milliseconds since 1970.
CREATE TABLE batch (id UUID PRIMARY KEY, at BIGINT NOT NULL);
CREATE INDEX batch_at ON batch (at);
