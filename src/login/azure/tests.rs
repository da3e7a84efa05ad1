//! Azure against fakes of Microsoft Entra, of its identities, and of a registry that exchanges tokens.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use insta::assert_snapshot;
use rcgen::CertificateParams;
use serde_json::json;
use tempfile::TempDir;

use super::super::fake::{Asked, Fake, environment, key, listed, login, logins, refusal, verified};
use super::super::{Environment, MARGIN_MAX, Source};
use super::{Azure, Proof, USERNAME, endpoint};
use crate::demo::registry::{Access, Image, MemoryRegistry};
use crate::secret::Secret;

const LIFE: Duration = Duration::from_secs(3 * 60 * 60);

/// What a registry gives: a token of three hours, made the day before by its own clock.
fn refresh_token() -> String {
    let claims = json!({ "iat": 1_767_182_400, "exp": 1_767_193_200, "aud": "acme.azurecr.io" });
    let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
    format!("eyJhbGciOiJSUzI1NiJ9.{claims}.c2lnbmVk")
}

/// Exchanges the token `entra` alone.
fn exchanged(asked: &Asked) -> (u16, String) {
    let form = asked.form();
    let is_right = form["grant_type"] == "access_token" && form["access_token"] == "entra";
    match is_right && asked.method == "POST" {
        true => (200, json!({ "refresh_token": refresh_token() }).to_string()),
        false => (
            401,
            r#"{"errors": [{"code": "UNAUTHORIZED", "message": "no"}]}"#.to_owned(),
        ),
    }
}

fn registry() -> Fake {
    Fake::start(exchanged)
}

fn entra() -> Fake {
    // Some of Azure's services write numbers as texts.
    Fake::start(|_| {
        (
            200,
            r#"{"access_token": "entra", "expires_in": "86399"}"#.to_owned(),
        )
    })
}

fn application(proof: Proof) -> Source {
    Source::Azure(Azure::Application {
        tenant_id: "contoso".to_owned(),
        client_id: "app-1".to_owned(),
        proof,
    })
}

fn by_secret(path: &Path) -> Source {
    application(Proof::Secret(Secret::File(path.to_owned())))
}

fn ambient() -> Source {
    Source::Azure(Azure::Ambient {
        tenant_id: None,
        client_id: None,
    })
}

fn authority(entra: &Fake) -> Environment {
    let url = format!("http://{}/", entra.host);
    environment(&[("AZURE_AUTHORITY_HOST", &url)])
}

async fn until_expired() {
    tokio::time::pause();
    tokio::time::advance(LIFE - MARGIN_MAX).await;
    tokio::time::resume();
}

#[tokio::test]
async fn an_application_with_a_secret_lists_tags_by_the_token_that_the_registry_exchanged() {
    let folder = TempDir::new().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "s3cret\n").unwrap();
    let access = Access::Token {
        username: USERNAME.to_owned(),
        password: refresh_token(),
        life: Duration::from_secs(60),
    };
    let memory = MemoryRegistry::start(access).unwrap();
    memory.push("acme/web", "v1", &Image::default());
    let registry = Fake::before(memory.host(), "/oauth2/exchange", exchanged);
    let entra = entra();
    let tags = listed(&registry.host, by_secret(&secret), authority(&entra)).await;
    assert_eq!(tags.unwrap(), ["v1"]);

    let [asked] = &entra.take()[..] else {
        panic!("one request")
    };
    assert_eq!(
        (&*asked.method, &*asked.path),
        ("POST", "/contoso/oauth2/v2.0/token")
    );
    assert_snapshot!(serde_json::to_string(&asked.form()).unwrap(), @r#"{"client_id":"app-1","client_secret":"s3cret","grant_type":"client_credentials","scope":"https://containerregistry.azure.net/.default"}"#);
    let [asked] = &registry.take()[..] else {
        panic!("one exchange")
    };
    assert_eq!(asked.form()["service"], "127.0.0.1");
}

#[tokio::test]
async fn a_registrys_token_is_renewed_when_its_three_hours_end() {
    let folder = TempDir::new().unwrap();
    let secret = folder.path().join("secret");
    let (entra, registry) = (entra(), registry());
    let logins = logins(&registry.host, by_secret(&secret), authority(&entra));
    for value in ["one", "two"] {
        std::fs::write(&secret, value).unwrap();
        assert_eq!(login(&logins).await, (USERNAME.to_owned(), refresh_token()));
        login(&logins).await;
        let asked = entra.take();
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0].form()["client_secret"], value);
        until_expired().await;
    }
    assert_eq!(registry.take().len(), 2);
}

#[tokio::test]
async fn an_application_with_a_certificate_signs_for_it() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("both.pem");
    let params = CertificateParams::new(vec!["towpath".to_owned()]).unwrap();
    let certificate = params.self_signed(key()).unwrap();
    let both = format!("{}{}", key().serialize_pem(), certificate.pem());
    std::fs::write(&file, both).unwrap();
    let (entra, registry) = (entra(), registry());
    let source = application(Proof::Certificate(Secret::File(file.clone())));
    let logins = logins(&registry.host, source, authority(&entra));
    login(&logins).await;
    let place = logins
        .place("acme/web")
        .await
        .replace(file.to_str().unwrap(), "FILE");
    assert_eq!(
        place,
        "the Azure application `app-1` with the certificate in file `FILE`"
    );

    let form = entra.take()[0].form();
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    assert_eq!(form["client_assertion_type"], kind);
    assert!(!form.contains_key("client_secret"));
    let (header, mut claims) = verified(&form["client_assertion"], key());
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate.der());
    let thumbprint = URL_SAFE_NO_PAD.encode(digest);
    let expected = json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint });
    assert_eq!(header, expected);
    let id = claims["jti"].take();
    assert_eq!(id.as_str().unwrap().len(), 32);
    let claims = claims.to_string().replace(&entra.host, "SERVICE");
    assert_snapshot!(claims, @r#"{"aud":"http://SERVICE/contoso/oauth2/v2.0/token","exp":1767269340,"iat":1767268740,"iss":"app-1","jti":null,"nbf":1767268740,"sub":"app-1"}"#);
}

#[tokio::test]
async fn a_pod_shows_the_token_of_its_cluster_as_it_is_now() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("azure-identity-token");
    let (entra, registry) = (entra(), registry());
    let url = format!("http://{}/", entra.host);
    let environment = environment(&[
        ("AZURE_FEDERATED_TOKEN_FILE", file.to_str().unwrap()),
        ("AZURE_CLIENT_ID", "pod-1"),
        ("AZURE_TENANT_ID", "contoso"),
        ("AZURE_AUTHORITY_HOST", &url),
        // What the node has does not count.
        ("IDENTITY_ENDPOINT", "http://127.0.0.1:1/"),
        ("IDENTITY_HEADER", "x"),
    ]);
    let logins = logins(&registry.host, ambient(), environment);
    for token in ["eyJ.one", "eyJ.two"] {
        std::fs::write(&file, token).unwrap();
        login(&logins).await;
        let form = entra.take()[0].form();
        assert_eq!(
            (&*form["client_assertion"], &*form["client_id"]),
            (token, "pod-1")
        );
        until_expired().await;
    }
    let place = logins
        .place("acme/web")
        .await
        .replace(file.to_str().unwrap(), "FILE");
    assert_eq!(
        place,
        "the Azure workload identity `pod-1` by the token in file `FILE`"
    );
}

#[tokio::test]
async fn a_machine_is_asked_for_its_identity() {
    let (machine, registry) = (entra(), registry());
    let url = format!("http://{}", machine.host);
    let environment = environment(&[("AZURE_POD_IDENTITY_AUTHORITY_HOST", &url)]);
    for client_id in [None, Some("user-assigned".to_owned())] {
        let source = Source::Azure(Azure::Ambient {
            tenant_id: None,
            client_id: client_id.clone(),
        });
        let logins = logins(&registry.host, source, environment.clone());
        login(&logins).await;
        let asked = &machine.take()[0];
        assert_eq!(
            (&*asked.method, &*asked.path),
            ("GET", "/metadata/identity/oauth2/token")
        );
        assert_eq!(asked.headers["metadata"], "true");
        assert_eq!(asked.query["api-version"], "2018-02-01");
        assert_eq!(
            asked.query["resource"],
            "https://containerregistry.azure.net"
        );
        assert_eq!(asked.query.get("client_id"), client_id.as_ref());
    }
}

#[tokio::test]
async fn an_app_is_asked_for_its_identity() {
    let (app, registry) = (entra(), registry());
    let url = format!("http://{}/msi/token", app.host);
    let environment = environment(&[
        ("IDENTITY_ENDPOINT", &url),
        ("IDENTITY_HEADER", "marked"),
        ("AZURE_CLIENT_ID", "user-assigned"),
    ]);
    let logins = logins(&registry.host, ambient(), environment);
    login(&logins).await;
    let asked = &app.take()[0];
    assert_eq!((&*asked.method, &*asked.path), ("GET", "/msi/token"));
    assert_eq!(asked.headers["x-identity-header"], "marked");
    assert_snapshot!(serde_json::to_string(&asked.query).unwrap(), @r#"{"api-version":"2019-08-01","client_id":"user-assigned","resource":"https://containerregistry.azure.net"}"#);
    let place = logins.place("acme/web").await;
    assert_eq!(
        place,
        "the managed identity `user-assigned` of this Azure app"
    );
}

#[test]
fn the_registrys_name_says_in_which_cloud_it_is() {
    let ends = ["io", "cn", "us", "de"];
    let of = |end| endpoint(&environment(&[]), &format!("acme.azurecr.{end}"), "a/../b").unwrap();
    let all: Vec<_> = ends.map(|end| of(end).to_string()).into();
    assert_snapshot!(all.join("\n"), @"
    https://login.microsoftonline.com/a%2F..%2Fb/oauth2/v2.0/token
    https://login.chinacloudapi.cn/a%2F..%2Fb/oauth2/v2.0/token
    https://login.microsoftonline.us/a%2F..%2Fb/oauth2/v2.0/token
    https://login.microsoftonline.com/a%2F..%2Fb/oauth2/v2.0/token
    ");
}

#[tokio::test]
async fn what_microsoft_refuses_is_told_with_what_to_do() {
    let folder = TempDir::new().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "hunter2").unwrap();
    let mut all = Vec::new();
    for (error, description) in [
        (
            "invalid_client",
            "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app 'app-1'. Trace ID: 0",
        ),
        (
            "invalid_client",
            "AADSTS7000222: The provided client secret keys for app 'app-1' are expired.",
        ),
        (
            "unauthorized_client",
            "AADSTS700016: Application with identifier 'app-1' was not found in the directory 'Contoso'.",
        ),
        (
            "invalid_client",
            "AADSTS700213: No matching federated identity record found for presented assertion subject 'system:serviceaccount:a:b'.",
        ),
        (
            "invalid_resource",
            "AADSTS500011: The resource principal named https://containerregistry.azure.net was not found in the tenant named Contoso.",
        ),
        ("server_error", "AADSTS1: Something new."),
    ] {
        let body = json!({ "error": error, "error_description": description, "error_codes": [1] });
        let entra = Fake::start(move |_| (400, body.to_string()));
        let logins = logins("acme.azurecr.io", by_secret(&secret), authority(&entra));
        let told = refusal(&logins, &secret).await;
        assert!(!told.contains("hunter2"), "{told}");
        all.push(told);
    }
    assert_snapshot!(all.join("\n"), @"
    failed to get a login for the Azure application `app-1` with the secret in file `FILE`: Microsoft Entra answered with status 400, saying `invalid_client: AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app 'app-1'. Trac` [this is not the application's client secret: its value is wanted, not its id]
    failed to get a login for the Azure application `app-1` with the secret in file `FILE`: Microsoft Entra answered with status 400, saying `invalid_client: AADSTS7000222: The provided client secret keys for app 'app-1' are expired.` [the application's client secret has expired: make a new one]
    failed to get a login for the Azure application `app-1` with the secret in file `FILE`: Microsoft Entra answered with status 400, saying `unauthorized_client: AADSTS700016: Application with identifier 'app-1' was not found in the directory 'Contoso'.` [the tenant knows no such application: check `tenant-id` and `client-id`]
    failed to get a login for the Azure application `app-1` with the secret in file `FILE`: Microsoft Entra answered with status 400, saying `invalid_client: AADSTS700213: No matching federated identity record found for presented assertion subject 'system:serviceaccount:a:b'.` [give the identity a federated credential with the issuer of this cluster and the subject `system:serviceaccount:NAMESPACE:NAME`]
    failed to get a login for the Azure application `app-1` with the secret in file `FILE`: Microsoft Entra answered with status 400, saying `invalid_resource: AADSTS500011: The resource principal named https://containerregistry.azure.net was not found in the tenant named Contoso.` [the tenant does not know Azure's registries: its administrator adds the application `Azure Container Registry`]
    failed to get a login for the Azure application `app-1` with the secret in file `FILE`: Microsoft Entra answered with status 400, saying `server_error: AADSTS1: Something new.`
    ");
}

#[tokio::test]
async fn what_is_missing_or_refused_elsewhere_is_told() {
    let folder = TempDir::new().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "hunter2").unwrap();
    let file = secret.to_str().unwrap();
    let mut all = Vec::new();
    // No tenant; a file that is no certificate; an authority without TLS; a machine without an identity.
    let pod = environment(&[("AZURE_FEDERATED_TOKEN_FILE", file)]);
    all.push(refusal(&logins("a.azurecr.io", ambient(), pod), &secret).await);
    let source = application(Proof::Certificate(Secret::File(secret.clone())));
    let none = environment(&[]);
    all.push(refusal(&logins("a.azurecr.io", source, none), &secret).await);
    let plain = environment(&[("AZURE_AUTHORITY_HOST", "http://login.microsoftonline.com")]);
    all.push(refusal(&logins("a.azurecr.io", by_secret(&secret), plain), &secret).await);
    let machine = Fake::start(|_| {
        let body = r#"{"error": "invalid_request", "error_description": "Identity not found"}"#;
        (400, body.to_owned())
    });
    let url = format!("http://{}", machine.host);
    let machine = environment(&[("AZURE_POD_IDENTITY_AUTHORITY_HOST", &url)]);
    all.push(refusal(&logins("a.azurecr.io", ambient(), machine), &secret).await);
    // A registry that does not know the identity, and one that sends on to another.
    let entra = Fake::start(|_| (200, r#"{"access_token": "other"}"#.to_owned()));
    let registry = registry();
    let source = by_secret(&secret);
    all.push(refusal(&logins(&registry.host, source, authority(&entra)), &secret).await);
    let entra = self::entra();
    let away = Fake::start(|_| (307, String::new()));
    let source = by_secret(&secret);
    all.push(refusal(&logins(&away.host, source, authority(&entra)), &secret).await);
    assert_snapshot!(all.join("\n"), @"
    failed to get a login for the Azure workload identity by the token in file `FILE`: the environment variable `AZURE_TENANT_ID` is not set
    failed to get a login for the Azure application `app-1` with the certificate in file `FILE`: file `FILE` holds no private RSA key in PEM form
    failed to get a login for the Azure application `app-1` with the secret in file `FILE`: environment variable `AZURE_AUTHORITY_HOST` names a service that is not asked over https
    failed to get a login for the managed identity of this machine in Azure: Azure's instance metadata service answered with status 400, saying `invalid_request: Identity not found` [give what runs here a managed identity, and name a user-assigned one by `client-id`]
    failed to get a login for the Azure application `app-1` with the secret in file `FILE`: the registry's token exchange answered with status 401, saying `no` [check that this registry is Azure's, and that the identity has the role `AcrPull` on it]
    failed to get a login for the Azure application `app-1` with the secret in file `FILE`: the registry's token exchange answered with status 307 [check that this registry is Azure's, and that the identity has the role `AcrPull` on it]
    ");
}
