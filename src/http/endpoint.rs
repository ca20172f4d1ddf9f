//! A path with its methods. `OPTIONS` lists the allowed methods, and any other method is answered 405 with them.

use actix_web::http::Method;
use actix_web::http::header::ALLOW;
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder, Route};

use super::error::ApiError;

/// A path and the handlers of its methods.
pub struct Endpoint {
    /// The path, with its parameters in braces.
    pub path: &'static str,
    /// Its methods; `HEAD` comes with `GET`.
    pub methods: Vec<Method>,
    resource: Resource,
}

/// Creates an endpoint without methods.
#[must_use]
pub fn at(path: &'static str) -> Endpoint {
    Endpoint { path, methods: Vec::new(), resource: web::resource(path) }
}

macro_rules! methods {
    ($($name:ident $method:ident),*) => {
        $(
            #[doc = concat!("Answers `", stringify!($method), "`.")]
            #[must_use]
            pub fn $name<F, Args>(self, handler: F) -> Self
            where
                F: Handler<Args>,
                Args: FromRequest + 'static,
                F::Output: Responder + 'static,
            {
                self.on(Method::$method, handler)
            }
        )*
    };
}

impl Endpoint {
    methods!(head HEAD, post POST, put PUT, patch PATCH, delete DELETE);

    /// Answers `GET` and `HEAD`.
    #[must_use]
    pub fn get<F, Args>(mut self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.resource = self.resource.route(web::head().to(handler.clone()));
        self.on(Method::GET, handler)
    }

    /// Answers `OPTIONS` by more than the methods.
    #[must_use]
    pub fn options<F, Args>(mut self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.resource = self.resource.route(Route::new().method(Method::OPTIONS).to(handler));
        self
    }

    fn on<F, Args>(mut self, method: Method, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.resource = self.resource.route(Route::new().method(method.clone()).to(handler));
        self.methods.push(method);
        self
    }

    /// Registers the endpoint as a route.
    pub fn register(self, config: &mut ServiceConfig) {
        let mut allowed: Vec<&str> = self.methods.iter().map(Method::as_str).collect();
        if allowed.contains(&"GET") {
            allowed.push("HEAD");
        }
        let allowed = allowed.join(", ");
        let other = move |request: HttpRequest| {
            let allowed = allowed.clone();
            async move {
                if request.method() != Method::OPTIONS {
                    return Err(ApiError::MethodNotAllowed(allowed));
                }
                Ok(HttpResponse::Ok().insert_header((ALLOW, format!("{allowed}, OPTIONS"))).finish())
            }
        };
        config.service(self.resource.default_service(web::to(other)));
    }
}
