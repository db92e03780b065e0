"""Bound objects: conversion of JSON values to typed objects that follow a configuration."""
