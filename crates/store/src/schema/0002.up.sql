-- Machines and all that they stand on. {key}: a text that is compared byte by byte.

CREATE TABLE signing_key (id UUID PRIMARY KEY, version BIGINT NOT NULL, signs {key}, body TEXT NOT NULL);
CREATE UNIQUE INDEX signing_key_signs ON signing_key (signs);

CREATE TABLE authority (id UUID PRIMARY KEY, version BIGINT NOT NULL, signs {key}, body TEXT NOT NULL);
CREATE UNIQUE INDEX authority_signs ON authority (signs);

CREATE TABLE acl (
    id UUID PRIMARY KEY, version BIGINT NOT NULL, segment {key}, project {key}, body TEXT NOT NULL
);
CREATE INDEX acl_segment ON acl (segment, id);
CREATE INDEX acl_project ON acl (project, id);

CREATE TABLE contact (
    id UUID PRIMARY KEY, version BIGINT NOT NULL, site {key}, body TEXT NOT NULL
);
CREATE INDEX contact_site ON contact (site, id);

CREATE TABLE dnat (
    id UUID PRIMARY KEY, version BIGINT NOT NULL, project {key}, segment {key}, global_ip {key}, body TEXT NOT NULL
);
CREATE INDEX dnat_project ON dnat (project, id);
CREATE INDEX dnat_segment ON dnat (segment, id);
CREATE UNIQUE INDEX dnat_global_ip ON dnat (global_ip);

CREATE TABLE global_ip (
    id UUID PRIMARY KEY, version BIGINT NOT NULL, site {key}, project {key}, address {key}, body TEXT NOT NULL
);
CREATE INDEX global_ip_site ON global_ip (site, id);
CREATE INDEX global_ip_project ON global_ip (project, id);
CREATE UNIQUE INDEX global_ip_address ON global_ip (address);

CREATE TABLE host (
    id UUID PRIMARY KEY, version BIGINT NOT NULL, site {key}, name {key}, body TEXT NOT NULL
);
CREATE INDEX host_site ON host (site, id);
CREATE UNIQUE INDEX host_name ON host (name);

CREATE TABLE image (
    id UUID PRIMARY KEY, version BIGINT NOT NULL, project {key}, vm {key}, name {key}, body TEXT NOT NULL
);
CREATE INDEX image_project ON image (project, id);
CREATE INDEX image_vm ON image (vm, id);
CREATE UNIQUE INDEX image_name ON image (name);

CREATE TABLE invitation (
    id UUID PRIMARY KEY, version BIGINT NOT NULL, site {key}, secret_hash {key}, body TEXT NOT NULL
);
CREATE INDEX invitation_site ON invitation (site, id);
CREATE UNIQUE INDEX invitation_secret_hash ON invitation (secret_hash);

CREATE TABLE issued (
    id UUID PRIMARY KEY, version BIGINT NOT NULL, host {key}, manifest {key}, body TEXT NOT NULL
);
CREATE INDEX issued_host ON issued (host, id);
CREATE UNIQUE INDEX issued_manifest ON issued (manifest);

CREATE TABLE lease (
    id UUID PRIMARY KEY, version BIGINT NOT NULL, segment {key}, project {key}, vm {key}, address {key}, body TEXT NOT NULL
);
CREATE INDEX lease_segment ON lease (segment, id);
CREATE INDEX lease_project ON lease (project, id);
CREATE INDEX lease_vm ON lease (vm, id);
CREATE UNIQUE INDEX lease_address ON lease (address);

CREATE TABLE manifest (
    id UUID PRIMARY KEY, version BIGINT NOT NULL, site {key}, body TEXT NOT NULL
);
CREATE INDEX manifest_site ON manifest (site, id);

CREATE TABLE preset (
    id UUID PRIMARY KEY, version BIGINT NOT NULL, name {key}, body TEXT NOT NULL
);
CREATE UNIQUE INDEX preset_name ON preset (name);

CREATE TABLE segment (
    id UUID PRIMARY KEY, version BIGINT NOT NULL, project {key}, site {key}, name {key}, vni {key}, body TEXT NOT NULL
);
CREATE INDEX segment_project ON segment (project, id);
CREATE INDEX segment_site ON segment (site, id);
CREATE UNIQUE INDEX segment_name ON segment (name);
CREATE UNIQUE INDEX segment_vni ON segment (vni);

CREATE TABLE template (
    id UUID PRIMARY KEY, version BIGINT NOT NULL, project {key}, template_name {key}, body TEXT NOT NULL
);
CREATE INDEX template_project ON template (project, id);
CREATE UNIQUE INDEX template_template_name ON template (template_name);

CREATE TABLE vm (
    id UUID PRIMARY KEY, version BIGINT NOT NULL, project {key}, share {key}, host {key}, waits {key}, name {key}, body TEXT NOT NULL
);
CREATE INDEX vm_project ON vm (project, id);
CREATE INDEX vm_share ON vm (share, id);
CREATE INDEX vm_host ON vm (host, id);
CREATE INDEX vm_waits ON vm (waits, id);
CREATE UNIQUE INDEX vm_name ON vm (name);

-- Until it has ended: the object whose generation is waited for. Operations of before have all ended.
ALTER TABLE operation ADD COLUMN open {key};
CREATE INDEX operation_open ON operation (open, id);
