//! The actions on users and access keys.

use serde_json::{Value, json};

use super::IamCall;
use super::action::IamParameters;
use super::refused::IamError;
use super::xml::ElementWriter;
use portcullis_base::names::{AccessKeyId, UserName};
use portcullis_sigv4::{KeyStatus, Principal};
use portcullis_state::{AccessKey, StateStore, UserRecord};

impl IamCall<'_> {
    pub(super) async fn create_user(self) -> Result<ElementWriter, IamError> {
        self.only_root_path()?;
        let name = self.user_name()?;
        let made = self.store.create_user(&name, self.now).await;
        let user = made.map_err(|error| IamError::store(error, &format!("User with name {name}")))?;
        let element = json!({
            "path": "/",
            "userName": user.name.as_str(),
            "userId": user.id,
            "arn": arn(self.store, &user),
            "createDate": user.created.console(),
        });
        self.facts.answers("user", element);
        Ok(ElementWriter::new("Result").child(described("User", self.store, &user)))
    }

    pub(super) fn user(self) -> Result<ElementWriter, IamError> {
        let element = match self.named_user()? {
            Some(user) => described("User", self.store, &user),
            None => root(self.store),
        };
        Ok(ElementWriter::new("Result").child(element))
    }

    pub(super) fn list_users(self) -> Result<ElementWriter, IamError> {
        // Every user is at `/`, so a longer prefix has none.
        let users = match self.parameters.optional("PathPrefix") {
            None | Some("/") => self.store.users(),
            Some(_) => Vec::new(),
        };
        let page = page(&self.parameters, users, |user| user.name.as_str())?;
        let store = self.store;
        Ok(page.element("Users", |user| described("member", store, &user)))
    }

    pub(super) async fn delete_user(self) -> Result<(), IamError> {
        let name = self.user_name()?;
        let deleted = self.store.delete_user(&name, self.now).await;
        deleted.map_err(|error| IamError::store(error, &user_entity(&name)))
    }

    /// Without a user name: a further key of root, so that root's key can be changed over.
    pub(super) async fn create_access_key(self) -> Result<ElementWriter, IamError> {
        let holder = self.holder()?;
        let made = self.store.create_key(&holder, self.now).await;
        let new = made.map_err(|error| IamError::store(error, "AccessKeysPerUser: 2, so another key"))?;
        let mut element = json!({
            "accessKeyId": new.key.id.as_str(),
            "status": status_text(new.key.status),
            "createDate": new.key.created.console(),
        });
        if let (Principal::User(name), Some(members)) = (&holder, element.as_object_mut()) {
            members.insert("userName".to_owned(), Value::from(name.as_str()));
        }
        self.facts.answers("accessKey", element);
        let key = shown("AccessKey", &new.key).text("SecretAccessKey", new.secret.expose());
        Ok(ElementWriter::new("Result").child(key))
    }

    pub(super) fn list_access_keys(self) -> Result<ElementWriter, IamError> {
        let keys = self.store.keys(&self.holder()?);
        let page = page(&self.parameters, keys, |key| key.id.as_str())?;
        Ok(page.element("AccessKeyMetadata", |key| shown("member", &key)))
    }

    pub(super) async fn update_access_key(self) -> Result<(), IamError> {
        let key = self.key()?;
        let status = match self.parameters.required("Status")? {
            "Active" => KeyStatus::Active,
            "Inactive" => KeyStatus::Inactive,
            _ => return Err(IamError::invalid_value("Status", "satisfy enum value set: [Active, Inactive]")),
        };
        let set = self.store.set_key_status(&key.id, &key.holder, status, self.now).await;
        set.map_err(|error| IamError::store(error, &key_entity(&key.id)))
    }

    pub(super) async fn delete_access_key(self) -> Result<(), IamError> {
        let key = self.key()?;
        let deleted = self.store.delete_key(&key.id, &key.holder, self.now).await;
        deleted.map_err(|error| IamError::store(error, &key_entity(&key.id)))
    }

    /// The user that is named, if one is.
    pub(super) fn named_user(&self) -> Result<Option<UserRecord>, IamError> {
        if self.parameters.optional("UserName").is_none() {
            return Ok(None);
        }
        let name = self.user_name()?;
        self.store.user(&name).map(Some).ok_or_else(|| IamError::no_such(&user_entity(&name)))
    }

    pub(super) fn only_root_path(&self) -> Result<(), IamError> {
        match self.parameters.optional("Path") {
            None | Some("/") => Ok(()),
            Some(_) => Err(IamError::invalid_value("Path", "be / here")),
        }
    }

    fn user_name(&self) -> Result<UserName, IamError> {
        let text = self.parameters.required("UserName")?;
        UserName::parse(text).map_err(|error| IamError::invalid_name("UserName", error))
    }

    fn holder(&self) -> Result<Principal, IamError> {
        Ok(self.named_user()?.map_or(Principal::Root, |user| Principal::User(user.name)))
    }

    /// The key that is named. Its id is enough, as root may change everybody's; a user name has to fit.
    fn key(&self) -> Result<AccessKey, IamError> {
        let text = self.parameters.required("AccessKeyId")?;
        let id = AccessKeyId::parse(text).map_err(|error| IamError::invalid_name("AccessKeyId", error))?;
        let named = self.named_user()?.map(|user| Principal::User(user.name));
        let key = self.store.key(&id).filter(|key| named.as_ref().is_none_or(|holder| key.holder == *holder));
        key.ok_or_else(|| IamError::no_such(&key_entity(&id)))
    }
}

/// Some of a list, and where the rest begins.
pub(super) struct IamPage<T> {
    members: Vec<T>,
    marker: Option<String>,
}

/// AWS's default.
const PAGE: usize = 100;

/// The part of a list, in the order of its names, that `Marker` and `MaxItems` ask for.
pub(super) fn page<T>(
    parameters: &IamParameters<'_>,
    list: impl IntoIterator<Item = T>,
    name: impl Fn(&T) -> &str,
) -> Result<IamPage<T>, IamError> {
    let most = match parameters.optional("MaxItems").map(str::parse::<usize>) {
        None => PAGE,
        Some(Ok(most)) if (1..=1000).contains(&most) => most,
        Some(_) => return Err(IamError::invalid_value("MaxItems", "be a number from 1 to 1000")),
    };
    let after = parameters.optional("Marker").unwrap_or("");
    let mut rest = list.into_iter().filter(|member| name(member) > after);
    let members: Vec<T> = rest.by_ref().take(most).collect();
    let more = rest.next().is_some();
    let marker = members.last().filter(|_| more).map(|last| name(last).to_owned());
    Ok(IamPage { members, marker })
}

impl<T> IamPage<T> {
    /// The list's element, with where it goes on.
    pub(super) fn element(self, name: &'static str, member: impl Fn(T) -> ElementWriter) -> ElementWriter {
        let truncated = if self.marker.is_some() { "true" } else { "false" };
        let list = ElementWriter::new("Result").list(name, self.members.into_iter().map(member));
        let list = list.text("IsTruncated", truncated);
        match self.marker {
            Some(marker) => list.text("Marker", &marker),
            None => list,
        }
    }
}

/// The account's root, who has neither a path nor a name.
pub(super) fn root(store: &StateStore) -> ElementWriter {
    ElementWriter::new("User")
        .text("UserId", store.account().as_str())
        .text("Arn", &format!("arn:aws:iam::{}:root", store.account()))
        .text("CreateDate", &store.account_created().iso_extended())
}

fn described(element: &'static str, store: &StateStore, user: &UserRecord) -> ElementWriter {
    ElementWriter::new(element)
        .text("Path", "/")
        .text("UserName", user.name.as_str())
        .text("UserId", &user.id)
        .text("Arn", &arn(store, user))
        .text("CreateDate", &user.created.iso_extended())
}

fn arn(store: &StateStore, user: &UserRecord) -> String {
    format!("arn:aws:iam::{}:user/{}", store.account(), user.name)
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

fn user_entity(name: &UserName) -> String {
    format!("The user with name {name}")
}

fn key_entity(id: &AccessKeyId) -> String {
    format!("The Access Key with id {id}")
}
