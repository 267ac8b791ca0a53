import {
  to = poolkeeper_resource_pool.web
  id = "web"
}
