resource "poolkeeper_resource_pool" "test" {
  name = "shown"
  size = 1

  worker = {
    command = ["sleep", "1000"]
  }
}

data "poolkeeper_resource_pool" "test" {
  name = poolkeeper_resource_pool.test.name
}
