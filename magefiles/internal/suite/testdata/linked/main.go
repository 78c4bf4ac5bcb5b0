// A program that links the module that the made-up database knows something of.
package main

import (
	"fmt"

	"golang.org/x/mod/module"
)

func main() { fmt.Println(module.CheckPath("example.org/x")) }
