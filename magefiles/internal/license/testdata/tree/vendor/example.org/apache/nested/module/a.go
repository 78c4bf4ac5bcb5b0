// Copyright 1999 Not Of This Module
package module
