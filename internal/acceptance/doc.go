// Package acceptance holds the tests of the whole: real Terraform (or OpenTofu) runs the built program as its
// provider, which starts a real manager, which runs real workers. It knows the parts only from outside: by
// what Terraform prints and keeps, by the API, the command line, and the processes of the machine.
//
// Besides its tests it contains the program that they use as a worker. The tests need Linux's /proc.
package acceptance
