// Copyright 2020 The Main Project
package main
