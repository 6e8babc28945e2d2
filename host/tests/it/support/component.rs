//! Guests made of a core module in the text format, for what no compiler writes.

/// A component with the contract's export, around a core module `(module …)`: it exports
/// `memory`, `realloc`, `routes` (which gives the address of a list) and `handle` (which
/// gives the address of a response).
pub fn component(module: &str) -> Vec<u8> {
    component_with("", module)
}

/// The same, with further imports.
pub fn component_with(imports: &str, module: &str) -> Vec<u8> {
    const FIELDS: &str =
        r#"(field "status" u16) (field "headers" (list (tuple string string))) (field "body" (list u8))"#;
    let text = format!(
        r#"(component
  (type $http (instance
    (type $response' (record {FIELDS}))
    (export "response" (type (eq $response')))
  ))
  (import "simhost:service/http@0.1.0" (instance $http (type $http)))
  {imports}
  (alias export $http "response" (type $response))
  (core module $module {module})
  (core instance $core (instantiate $module))
  (type $route (record (field "method" string) (field "path" string)))
  (func $routes (result (list $route))
    (canon lift (core func $core "routes") (memory (core memory $core "memory")) (realloc (core func $core "realloc"))))
  (func $handle (param "route" (option u32)) (result $response)
    (canon lift (core func $core "handle") (memory (core memory $core "memory")) (realloc (core func $core "realloc"))))
  (component $named
    (type $response' (record {FIELDS}))
    (import "response-type" (type $response (eq $response')))
    (type $route' (record (field "method" string) (field "path" string)))
    (import "route-type" (type $route (eq $route')))
    (import "routes" (func $routes (result (list $route))))
    (import "handle" (func $handle (param "route" (option u32)) (result $response)))
    (export $out "response" (type $response))
    (export $outer "route" (type $route))
    (export "routes" (func $routes) (func (result (list $outer))))
    (export "handle" (func $handle) (func (param "route" (option u32)) (result $out)))
  )
  (instance $handler (instantiate $named
    (with "response-type" (type $response))
    (with "route-type" (type $route))
    (with "routes" (func $routes))
    (with "handle" (func $handle))
  ))
  (export "simhost:service/handler@0.1.0" (instance $handler))
)"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"))
}

/// The functions and the memory that the contract needs, and `more` beside them. It has no
/// routes, and answers 200.
pub fn module(more: &str) -> String {
    format!(
        r#"(memory (export "memory") 1)
    (global $heap (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.get $heap)
      (global.set $heap (i32.add (global.get $heap) (i32.add (local.get 3) (i32.const 8)))))
    (func (export "routes") (result i32) (i32.const 16))
    (func (export "handle") (param i32 i32) (result i32)
      (i32.store16 (i32.const 64) (i32.const 200))
      (i32.const 64))
    {more}"#
    )
}
