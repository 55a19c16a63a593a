//! The actions on users and access keys.

use serde_json::{Value, json};

use super::action::{PageRequest, PathPrefix};
use super::answer::AnswerContent;
use super::page::page;
use super::perform::ActionPerformance;
use super::refused::{IamError, key_entity, user_entity};
use super::xml::ElementWriter;
use portcullis_base::names::UserName;
use portcullis_sigv4::{KeyStatus, Principal};
use portcullis_state::{AccessKey, GivenKey, KeyMaterial, MOST_KEYS, MOST_USERS, StoreError, UserRecord};

impl ActionPerformance<'_> {
    pub(super) async fn create_user(self, name: &UserName) -> Result<AnswerContent, IamError> {
        let made = self.state.create_user(name, self.now).await;
        let user = made.map_err(|error| {
            let entity = match error == StoreError::LimitReached {
                true => format!("UsersPerAccount: {MOST_USERS}, so another user"),
                false => format!("User with name {name}"),
            };
            IamError::store(error, &entity)
        })?;
        let element = json!({
            "path": "/",
            "userName": user.name.as_str(),
            "userId": user.id,
            "arn": self.arn(&user),
            "createDate": user.created.console(),
        });
        let result = ElementWriter::new("Result").child(self.described("User", &user));
        Ok(AnswerContent::recorded(result, "user", element))
    }

    /// A user, or root where none is named.
    pub(super) fn user(self, user: Option<&UserRecord>) -> ElementWriter {
        ElementWriter::new("Result").child(user.map_or_else(|| self.root(), |user| self.described("User", user)))
    }

    pub(super) fn users(self, prefix: PathPrefix, wanted: &PageRequest) -> ElementWriter {
        let users = match prefix {
            PathPrefix::Root => self.state.users(),
            PathPrefix::Longer => Vec::new(),
        };
        page(wanted, users, |user| user.name.as_str()).element("Users", |user| self.described("member", &user))
    }

    pub(super) async fn delete_user(self, name: &UserName) -> Result<AnswerContent, IamError> {
        let deleted = self.state.delete_user(name, self.now).await;
        deleted.map(|()| AnswerContent::default()).map_err(|error| IamError::store(error, &user_entity(name)))
    }

    /// The secret is not repeated.
    pub(super) async fn put_upstream_key(self, name: &UserName, given: GivenKey) -> Result<AnswerContent, IamError> {
        let put = self.state.put_upstream_key(name, given, self.now).await;
        let stored = put.map_err(|error| IamError::store(error, &user_entity(name)))?;
        let element = json!({
            "userName": name.as_str(),
            "accessKeyId": stored.key.id(),
            "createDate": stored.created.console(),
        });
        let credentials = ElementWriter::new("UpstreamCredentials")
            .text("UserName", name.as_str())
            .text("AccessKeyId", stored.key.id())
            .text("CreateDate", &stored.created.iso_extended());
        let result = ElementWriter::new("Result").child(credentials);
        Ok(AnswerContent::recorded(result, "upstreamCredentials", element))
    }

    pub(super) async fn delete_upstream_key(self, name: &UserName) -> Result<AnswerContent, IamError> {
        let deleted = self.state.delete_upstream_key(name, self.now).await;
        let entity = format!("The upstream credentials of the user with name {name}");
        deleted.map(|()| AnswerContent::default()).map_err(|error| IamError::store(error, &entity))
    }

    /// Root may have a second key, so that its key can be replaced.
    /// A given secret is not repeated.
    pub(super) async fn create_access_key(
        self,
        holder: &Principal,
        material: KeyMaterial,
    ) -> Result<AnswerContent, IamError> {
        let given = match &material {
            KeyMaterial::Given(given) => Some(given.id().clone()),
            KeyMaterial::Random => None,
        };
        let made = self.state.create_key(holder, material, self.now).await;
        let new = made.map_err(|error| match (error, &given) {
            (error @ StoreError::AlreadyExists, Some(id)) => IamError::store(error, &key_entity(id)),
            (error, _) => IamError::store(error, &format!("AccessKeysPerUser: {MOST_KEYS}, so another key")),
        })?;
        let mut element = json!({
            "accessKeyId": new.key.id.as_str(),
            "status": status_text(new.key.status),
            "createDate": new.key.created.console(),
        });
        if let (Principal::User(name), Some(members)) = (holder, element.as_object_mut()) {
            members.insert("userName".to_owned(), Value::from(name.as_str()));
        }
        let key = match given {
            Some(_) => shown("AccessKey", &new.key),
            None => shown("AccessKey", &new.key).text("SecretAccessKey", new.secret.expose()),
        };
        Ok(AnswerContent::recorded(ElementWriter::new("Result").child(key), "accessKey", element))
    }

    pub(super) fn access_keys(self, holder: &Principal, wanted: &PageRequest) -> ElementWriter {
        let keys = self.state.keys(holder);
        page(wanted, keys, |key| key.id.as_str()).element("AccessKeyMetadata", |key| shown("member", &key))
    }

    pub(super) async fn update_access_key(self, key: &AccessKey, status: KeyStatus) -> Result<AnswerContent, IamError> {
        let set = self.state.set_key_status(&key.id, &key.holder, status, self.now).await;
        set.map(|()| AnswerContent::default()).map_err(|error| IamError::store(error, &key_entity(&key.id)))
    }

    pub(super) async fn delete_access_key(self, key: &AccessKey) -> Result<AnswerContent, IamError> {
        let deleted = self.state.delete_key(&key.id, &key.holder, self.now).await;
        deleted.map(|()| AnswerContent::default()).map_err(|error| IamError::store(error, &key_entity(&key.id)))
    }

    /// The account's root, who has neither a path nor a name.
    pub(super) fn root(self) -> ElementWriter {
        ElementWriter::new("User")
            .text("UserId", self.state.account().as_str())
            .text("Arn", &format!("arn:aws:iam::{}:root", self.state.account()))
            .text("CreateDate", &self.state.account_created().iso_extended())
    }

    pub(super) fn described(self, element: &'static str, user: &UserRecord) -> ElementWriter {
        let described = ElementWriter::new(element)
            .text("Path", "/")
            .text("UserName", user.name.as_str())
            .text("UserId", &user.id)
            .text("Arn", &self.arn(user))
            .text("CreateDate", &user.created.iso_extended());
        let described = match &user.boundary {
            Some(boundary) => {
                let arn = boundary.arn(self.state.account());
                let boundary = ElementWriter::new("PermissionsBoundary")
                    .text("PermissionsBoundaryType", "Policy")
                    .text("PermissionsBoundaryArn", &arn);
                described.child(boundary)
            }
            None => described,
        };
        match self.state.upstream_key(&user.name) {
            // Ours: AWS has one store for all users.
            Some(stored) => described.text("UpstreamAccessKeyId", stored.key.id()),
            None => described,
        }
    }

    fn arn(self, user: &UserRecord) -> String {
        format!("arn:aws:iam::{}:user/{}", self.state.account(), user.name)
    }
}

fn shown(element: &'static str, key: &AccessKey) -> ElementWriter {
    let element = match &key.holder {
        Principal::Root => ElementWriter::new(element),
        Principal::User(name) => ElementWriter::new(element).text("UserName", name.as_str()),
    };
    element
        .text("AccessKeyId", key.id.as_str())
        .text("Status", status_text(key.status))
        .text("CreateDate", &key.created.iso_extended())
}

fn status_text(status: KeyStatus) -> &'static str {
    match status {
        KeyStatus::Active => "Active",
        KeyStatus::Inactive => "Inactive",
    }
}
