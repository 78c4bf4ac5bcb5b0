package rootfs

// What the tests run in containers, which are outside: rootfstest imports this package.
const (
	Docs      = docs
	Readiness = readiness
)
