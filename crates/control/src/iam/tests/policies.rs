//! Policies and groups, asked as a client asks for them.

use super::*;
use portcullis_base::names::UserName;
use portcullis_base::percent::{percent_decode, percent_encode};

const READS: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}}"#;
const NOTHING: &str =
    r#"{"Version":"2012-10-17","Statement":{"Sid":"No","Effect":"Deny","Action":"*","Resource":"*"}}"#;

fn own(state: &StateStore, name: &str) -> String {
    format!("arn:aws:iam::{}:policy/{name}", state.account())
}

async fn done(state: &StateStore, query: &str) -> String {
    let (status, body) = plainly(state, query).await;
    assert_eq!(status, 200, "{query}: {body}");
    body
}

async fn with_alice() -> StateStore {
    let state = state().await;
    done(&state, "Action=CreateUser&UserName=alice").await;
    state
}

/// Whether alice may do this to a bucket.
fn may(state: &StateStore, action: &str) -> bool {
    let alice = Principal::User(UserName::parse("alice").expect("a name"));
    rights_of(&alice, state).denies(action, "arn:aws:s3:::vault/k").is_none()
}

#[tokio::test]
async fn a_user_may_do_what_attached_inline_and_group_policies_allow_together() {
    let state = with_alice().await;
    assert!(!may(&state, "s3:GetObject"));
    let attach = "Action=AttachUserPolicy&UserName=alice&PolicyArn=arn:aws:iam::aws:policy/writeonly";
    done(&state, attach).await;
    done(&state, attach).await;
    assert!(may(&state, "s3:PutObject") && !may(&state, "s3:GetObject"));
    done(
        &state,
        &format!("Action=PutUserPolicy&UserName=alice&PolicyName=reads&PolicyDocument={}", percent_encode(READS)),
    )
    .await;
    assert!(may(&state, "s3:GetObject") && !may(&state, "s3:DeleteObject"));
    done(&state, "Action=CreateGroup&GroupName=staff").await;
    done(&state, "Action=AttachGroupPolicy&GroupName=staff&PolicyArn=arn:aws:iam::aws:policy/readwrite").await;
    assert!(!may(&state, "s3:DeleteObject"));
    done(&state, "Action=AddUserToGroup&GroupName=staff&UserName=alice").await;
    assert!(may(&state, "s3:DeleteObject"));
    done(
        &state,
        &format!("Action=PutGroupPolicy&GroupName=staff&PolicyName=no&PolicyDocument={}", percent_encode(NOTHING)),
    )
    .await;
    assert!(!may(&state, "s3:GetObject"), "a Deny of the group counts whatever else allows");
    done(&state, "Action=RemoveUserFromGroup&GroupName=staff&UserName=alice").await;
    assert!(may(&state, "s3:GetObject") && !may(&state, "s3:DeleteObject"));
    done(
        &state,
        "Action=PutUserPermissionsBoundary&UserName=alice&PermissionsBoundary=arn:aws:iam::aws:policy/readonly",
    )
    .await;
    assert!(may(&state, "s3:GetObject") && !may(&state, "s3:PutObject"), "the boundary limits");
    assert!(
        done(&state, "Action=GetUser&UserName=alice")
            .await
            .contains("<PermissionsBoundaryArn>arn:aws:iam::aws:policy/readonly")
    );
    done(&state, "Action=DeleteUserPermissionsBoundary&UserName=alice").await;
    assert!(may(&state, "s3:PutObject"));
    done(&state, "Action=DeleteUserPolicy&UserName=alice&PolicyName=reads").await;
    done(&state, "Action=DetachUserPolicy&UserName=alice&PolicyArn=arn:aws:iam::aws:policy/writeonly").await;
    assert!(!may(&state, "s3:GetObject") && !may(&state, "s3:PutObject"));
}

#[tokio::test]
async fn a_managed_policy_says_what_its_default_version_says() {
    let state = with_alice().await;
    let made = done(
        &state,
        &format!("Action=CreatePolicy&PolicyName=p&Description=d&PolicyDocument={}", percent_encode(READS)),
    )
    .await;
    let arn = own(&state, "p");
    assert_eq!(
        (inside(&made, "Arn"), inside(&made, "DefaultVersionId"), inside(&made, "Description")),
        (&*arn, "v1", "d")
    );
    done(&state, &format!("Action=AttachUserPolicy&UserName=alice&PolicyArn={arn}")).await;
    assert!(may(&state, "s3:GetObject"));
    let version = format!("Action=CreatePolicyVersion&PolicyArn={arn}&PolicyDocument={}", percent_encode(NOTHING));
    assert_eq!(inside(&done(&state, &version).await, "IsDefaultVersion"), "false");
    assert!(may(&state, "s3:GetObject"));
    done(&state, &format!("Action=SetDefaultPolicyVersion&PolicyArn={arn}&VersionId=v2")).await;
    assert!(!may(&state, "s3:GetObject"));
    let told = done(&state, &format!("Action=GetPolicyVersion&PolicyArn={arn}&VersionId=v1")).await;
    assert_eq!(percent_decode(inside(&told, "Document")).as_deref(), Some(READS));
    assert_eq!(inside(&done(&state, &format!("Action=GetPolicy&PolicyArn={arn}")).await, "AttachmentCount"), "1");
    for (query, code) in [
        (format!("Action=DeletePolicyVersion&PolicyArn={arn}&VersionId=v2"), "DeleteConflict"),
        (format!("Action=DeletePolicyVersion&PolicyArn={arn}&VersionId=v9"), "NoSuchEntity"),
        (format!("Action=DeletePolicyVersion&PolicyArn={arn}&VersionId=2"), "ValidationError"),
        (format!("Action=DeletePolicy&PolicyArn={arn}"), "DeleteConflict"),
    ] {
        assert_eq!(refusal(&state, &query).await.1, code, "{query}");
    }
    done(&state, &format!("Action=DetachUserPolicy&UserName=alice&PolicyArn={arn}")).await;
    assert_eq!(refusal(&state, &format!("Action=DeletePolicy&PolicyArn={arn}")).await.1, "DeleteConflict");
    done(&state, &format!("Action=DeletePolicyVersion&PolicyArn={arn}&VersionId=v1")).await;
    done(&state, &format!("Action=DeletePolicy&PolicyArn={arn}")).await;
    assert_eq!(refusal(&state, &format!("Action=GetPolicy&PolicyArn={arn}")).await.1, "NoSuchEntity");
}

#[tokio::test]
async fn five_versions_ten_attachments_and_ten_groups_are_awss_quotas() {
    let state = with_alice().await;
    let document = percent_encode(READS);
    for number in 0..11 {
        done(&state, &format!("Action=CreatePolicy&PolicyName=p{number}&PolicyDocument={document}")).await;
        done(&state, &format!("Action=CreateGroup&GroupName=g{number}")).await;
    }
    for number in 0..10 {
        done(
            &state,
            &format!("Action=AttachUserPolicy&UserName=alice&PolicyArn={}", own(&state, &format!("p{number}"))),
        )
        .await;
        done(&state, &format!("Action=AddUserToGroup&UserName=alice&GroupName=g{number}")).await;
    }
    for query in [
        format!("Action=AttachUserPolicy&UserName=alice&PolicyArn={}", own(&state, "p10")),
        "Action=AddUserToGroup&UserName=alice&GroupName=g10".to_owned(),
    ] {
        assert_eq!(refusal(&state, &query).await, (409, "LimitExceeded".to_owned()), "{query}");
    }
    let version = format!("Action=CreatePolicyVersion&PolicyArn={}&PolicyDocument={document}", own(&state, "p0"));
    for _ in 0..4 {
        done(&state, &version).await;
    }
    assert_eq!(refusal(&state, &version).await, (409, "LimitExceeded".to_owned()));
    // AWS counts the inline policies of a user together: 2,048 characters.
    let long = READS.replace("\"*\"", &format!("\"arn:aws:s3:::{}/*\"", "b".repeat(1000)));
    let put = |name: &str| {
        format!("Action=PutUserPolicy&UserName=alice&PolicyName={name}&PolicyDocument={}", percent_encode(&long))
    };
    done(&state, &put("one")).await;
    done(&state, &put("one")).await;
    assert_eq!(refusal(&state, &put("two")).await, (409, "LimitExceeded".to_owned()));
}

#[tokio::test]
async fn what_is_in_use_is_not_deleted_and_what_is_not_there_is_said() {
    let state = with_alice().await;
    done(&state, "Action=CreateGroup&GroupName=staff").await;
    done(&state, "Action=AddUserToGroup&GroupName=staff&UserName=alice").await;
    for (query, code) in [
        ("Action=DeleteGroup&GroupName=staff", "DeleteConflict"),
        ("Action=DeleteUser&UserName=alice", "DeleteConflict"),
        ("Action=CreateGroup&GroupName=Staff", "EntityAlreadyExists"),
        ("Action=AddUserToGroup&GroupName=staff&UserName=bob", "NoSuchEntity"),
        ("Action=AddUserToGroup&GroupName=other&UserName=alice", "NoSuchEntity"),
        ("Action=AttachUserPolicy&UserName=bob&PolicyArn=arn:aws:iam::aws:policy/readonly", "NoSuchEntity"),
        ("Action=AttachUserPolicy&UserName=alice&PolicyArn=arn:aws:iam::aws:policy/unknown", "NoSuchEntity"),
        ("Action=AttachUserPolicy&UserName=alice&PolicyArn=readonly", "ValidationError"),
        ("Action=DetachUserPolicy&UserName=alice&PolicyArn=arn:aws:iam::aws:policy/readonly", "NoSuchEntity"),
        ("Action=DeleteUserPolicy&UserName=alice&PolicyName=none", "NoSuchEntity"),
        ("Action=DeleteUserPermissionsBoundary&UserName=alice", "NoSuchEntity"),
        ("Action=DeletePolicy&PolicyArn=arn:aws:iam::aws:policy/readonly", "AccessDenied"),
        ("Action=PutUserPolicy&UserName=alice&PolicyName=p&PolicyDocument=%7B%7D", "MalformedPolicyDocument"),
        ("Action=ListPolicies&Scope=Mine", "ValidationError"),
        ("Action=ListGroups&PathPrefix=/team/", "ValidationError"),
        ("Action=CreateGroup&GroupName=a%20b", "ValidationError"),
    ] {
        assert_eq!(refusal(&state, query).await.1, code, "{query}");
    }
}

#[tokio::test]
async fn lists_tell_names_arns_and_where_a_policy_is_used() {
    let state = with_alice().await;
    let document = percent_encode(READS);
    done(&state, &format!("Action=CreatePolicy&PolicyName=p&PolicyDocument={document}")).await;
    let arn = own(&state, "p");
    done(&state, "Action=CreateGroup&GroupName=staff").await;
    done(&state, "Action=AddUserToGroup&GroupName=staff&UserName=alice").await;
    done(&state, &format!("Action=AttachUserPolicy&UserName=alice&PolicyArn={arn}")).await;
    done(&state, &format!("Action=AttachGroupPolicy&GroupName=staff&PolicyArn={arn}")).await;
    done(&state, &format!("Action=PutUserPolicy&UserName=alice&PolicyName=inline&PolicyDocument={document}")).await;
    let entities = done(&state, &format!("Action=ListEntitiesForPolicy&PolicyArn={arn}")).await;
    assert_eq!((inside(&entities, "UserName"), inside(&entities, "GroupName")), ("alice", "staff"));
    for (filter, told) in [("User", ("alice", "")), ("Group", ("", "staff")), ("Role", ("", ""))] {
        let entities =
            done(&state, &format!("Action=ListEntitiesForPolicy&PolicyArn={arn}&EntityFilter={filter}")).await;
        assert_eq!((inside(&entities, "UserName"), inside(&entities, "GroupName")), told, "{filter}");
    }
    let attached = done(&state, "Action=ListAttachedUserPolicies&UserName=alice").await;
    assert_eq!((inside(&attached, "PolicyName"), inside(&attached, "PolicyArn")), ("p", &*arn));
    assert_eq!(inside(&done(&state, "Action=ListUserPolicies&UserName=alice").await, "member"), "inline");
    let inline = done(&state, "Action=GetUserPolicy&UserName=alice&PolicyName=inline").await;
    assert_eq!(percent_decode(inside(&inline, "PolicyDocument")).as_deref(), Some(READS));
    assert_eq!(inside(&done(&state, "Action=ListGroupsForUser&UserName=alice").await, "GroupName"), "staff");
    let group = done(&state, "Action=GetGroup&GroupName=staff").await;
    assert_eq!((inside(&group, "UserName"), inside(&group, "GroupName")), ("alice", "staff"));
    let local = done(&state, "Action=ListPolicies&Scope=Local").await;
    assert_eq!((inside(&local, "PolicyName"), local.matches("<member>").count()), ("p", 1));
    let used = done(&state, "Action=ListPolicies&OnlyAttached=true").await;
    assert_eq!(used.matches("<member>").count(), 1);
    let first = done(&state, "Action=ListPolicies&MaxItems=1").await;
    let marker = percent_encode(inside(&first, "Marker"));
    assert_eq!(
        done(&state, &format!("Action=ListPolicies&MaxItems=1&Marker={marker}")).await.matches("<member>").count(),
        1
    );
    let versions = done(&state, &format!("Action=ListPolicyVersions&PolicyArn={arn}")).await;
    assert_eq!((inside(&versions, "VersionId"), inside(&versions, "IsDefaultVersion")), ("v1", "true"));
}
